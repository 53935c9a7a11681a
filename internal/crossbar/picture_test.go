package crossbar

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strconv"
	"strings"
	"testing"
	"time"
)

func flagJPEG(t *testing.T, width, height, orientation int, order binary.AppendByteOrder) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			c := color.NRGBA{A: 255} // red in the first quarter, black elsewhere
			if x < width/2 && y < height/2 {
				c.R = 255
			}
			img.SetNRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	tiff := []byte("MM\x00*")
	if order == binary.AppendByteOrder(binary.LittleEndian) {
		tiff = []byte("II*\x00")
	}
	tiff = order.AppendUint16(order.AppendUint32(tiff, 8), 1)
	tiff = order.AppendUint16(order.AppendUint32(order.AppendUint16(order.AppendUint16(tiff, 0x0112), 3), 1), uint16(orientation))
	block := append([]byte("Exif\x00\x00"), append(tiff, 0, 0, 0, 0, 0, 0)...)
	head := binary.BigEndian.AppendUint16([]byte{0xff, 0xd8, 0xff, 0xe1}, uint16(len(block)+2))
	return append(append(head, block...), b.Bytes()[2:]...)
}

// TestPicturesAreUpright: whichever way the camera was held, the red quarter is where it is to be seen.
func TestPicturesAreUpright(t *testing.T) {
	t.Parallel()
	d := newDarkroom()
	for orientation, want := range map[int]image.Point{1: {0, 0}, 2: {1, 0}, 3: {1, 1}, 4: {0, 1}, 5: {0, 0}, 6: {1, 0}, 7: {1, 1}, 8: {0, 1}, 0: {0, 0}, 9: {0, 0}} {
		for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
			out, err := d.develop(t.Context(), flagJPEG(t, 80, 40, orientation, order), "jpeg")
			if err != nil {
				t.Fatal(err)
			}
			img, err := jpeg.Decode(bytes.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			size := img.Bounds().Size()
			if sideways := orientation >= 5 && orientation <= 8; sideways != (size.Y == 80) {
				t.Errorf("orientation %d: %v", orientation, size)
			}
			for x := range 2 {
				for y := range 2 {
					r, _, _, _ := img.At(size.X/4+x*size.X/2, size.Y/4+y*size.Y/2).RGBA()
					if (r > 0x8000) != (want == image.Pt(x, y)) {
						t.Errorf("orientation %d: at %d,%d there is %x", orientation, x, y, r)
					}
				}
			}
			if bytes.Contains(out, []byte("Exif")) {
				t.Error("what the camera wrote is still there")
			}
		}
	}
}

func TestPicturesAreScaled(t *testing.T) {
	t.Parallel()
	d := newDarkroom()
	for size, want := range map[image.Point]image.Point{{640, 640}: {640, 640}, {3000, 1000}: {640, 213}, {1, 5000}: {1, 640}, {641, 1}: {640, 1}, {9, 7}: {9, 7}} {
		img := image.NewNRGBA(image.Rectangle{Max: size})
		for i := range img.Pix {
			img.Pix[i] = byte(i%4/3) * 128 // black, half transparent
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		out, err := d.develop(t.Context(), b.Bytes(), "png")
		if err != nil {
			t.Fatal(err)
		}
		got, err := png.Decode(bytes.NewReader(out))
		if err != nil || got.Bounds().Size() != want {
			t.Errorf("%v: %v, %v", size, got.Bounds(), err)
		}
		for y := 0; y < want.Y; y++ { // no seam between strips
			if _, _, _, a := got.At(want.X/2, y).RGBA(); a>>8 != 128 {
				t.Fatalf("%v: at %d it is %d opaque", size, y, a>>8)
			}
		}
		if again, err := d.develop(t.Context(), b.Bytes(), "png"); err != nil || !bytes.Equal(again, out) {
			t.Errorf("%v: another time there are other bytes, %v", size, err)
		}
	}
	d.turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.develop(ctx, nil, "png"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// scanned is a progressive JPEG of one grey component, in which a scan takes some forty bytes and all of the picture.
func scanned(side, scans int) []byte {
	segment := func(marker byte, content ...byte) []byte {
		return append([]byte{0xff, marker, byte((len(content) + 2) >> 8), byte(len(content) + 2)}, content...)
	}
	out := append([]byte{0xff, 0xd8}, segment(0xdb, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...)...)
	out = append(out, segment(0xc2, 8, byte(side>>8), byte(side), byte(side>>8), byte(side), 1, 1, 0x11, 0)...)
	counts := append([]byte{0x10, 1}, make([]byte, 15)...)
	out = append(out, segment(0xc4, append(counts, 0xe0)...)...) // one code of one bit: the rest of up to 32767 blocks is empty
	blocks, bits := (side+7)/8, ""
	for left := blocks * blocks; left > 0; left -= 32767 {
		bits += "0" + strings.Repeat("1", 14)
	}
	scan := segment(0xda, 1, 1, 0, 1, 63, 0)
	for bits += "1111111"; len(bits) >= 8; bits = bits[8:] {
		octet, _ := strconv.ParseUint(bits[:8], 2, 8)
		if scan = append(scan, byte(octet)); octet == 0xff {
			scan = append(scan, 0)
		}
	}
	out = append(out, bytes.Repeat(scan, scans)...)
	return append(out, 0xff, 0xd9)
}

// TestPictureBombs: little that would become much is refused by its head, or by how often it would be walked over.
func TestPictureBombs(t *testing.T) {
	t.Parallel()
	d := newDarkroom()
	if _, err := d.develop(t.Context(), scanned(1000, maxPhotoScans), "jpeg"); err != nil {
		t.Fatal("no JPEG:", err)
	}
	largest := scanned(6320, 100_000)
	began := time.Now()
	_, err := d.develop(t.Context(), largest[:min(len(largest), maxPhoto)], "jpeg")
	if f := (*fault)(nil); !errors.As(err, &f) || f.status != 415 || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func FuzzOrientation(f *testing.F) {
	f.Add([]byte("\xff\xd8\xff\xe1\x00\x10Exif\x00\x00MM\x00*\x00\x00\x00\x08"))
	f.Fuzz(func(_ *testing.T, picture []byte) { orientation(picture) })
}
