package media

import "math"

// The low-pass filter of the resampler: a sinc cut at 3.7 kHz under a Kaiser window, flat to 3.4 kHz and 80 dB down at
// 4 kHz, where frequencies would begin to fold back.
const (
	resampleCutoff    = 3700.0
	resampleCrossings = 32 // zero crossings on either side
	resampleBeta      = 7.86
	resamplePhases    = 512 // most positions between two input samples that are told apart
)

// resample converts samples of a rate above 8 kHz to 8 kHz.
func resample(in []float32, rate int) []int16 {
	half := int(math.Ceil(resampleCrossings * float64(rate) / (2 * resampleCutoff)))
	phases := min(SampleRate/divisor(rate, SampleRate), resamplePhases)
	kernels := resampleKernels(rate, half, phases)
	out := make([]int16, int(int64(len(in))*SampleRate/int64(rate)))
	for i := range out {
		position := int64(i) * int64(rate) * int64(phases) / SampleRate
		centre, phase := int(position/int64(phases)), int(position%int64(phases))
		kernel := kernels[phase*2*half : (phase+1)*2*half]
		// kernel[0] belongs to the input sample centre-half+1.
		first := centre - half + 1
		from, to := max(0, -first), min(len(kernel), len(in)-first)
		var sum float32
		if from < to {
			window := in[first+from : first+to]
			for j, k := range kernel[from:to] {
				sum += k * window[j]
			}
		}
		out[i] = clamp(sum)
	}
	return out
}

// resampleKernels returns for each phase the 2*half weights of the input samples around a position that lies
// phase/phases after one of them.
func resampleKernels(rate, half, phases int) []float32 {
	kernels := make([]float32, phases*2*half)
	for phase := range phases {
		kernel := kernels[phase*2*half : (phase+1)*2*half]
		sum := 0.0
		for j := range kernel {
			distance := float64(j-half+1) - float64(phase)/float64(phases)
			x := 2 * resampleCutoff * distance / float64(rate)
			weight := 1.0
			if x != 0 {
				weight = math.Sin(math.Pi*x) / (math.Pi * x)
			}
			edge := distance / float64(half)
			weight *= bessel(resampleBeta * math.Sqrt(max(0, 1-edge*edge)))
			kernel[j] = float32(weight)
			sum += weight
		}
		for j := range kernel {
			kernel[j] /= float32(sum)
		}
	}
	return kernels
}

// bessel is the modified Bessel function of the first kind of order zero, of which a Kaiser window is made.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-10; k++ {
		term *= x * x / (4 * k * k)
		sum += term
	}
	return sum
}

func divisor(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func clamp(sample float32) int16 {
	return int16(max(-32768, min(32767, math.Round(float64(sample)))))
}
