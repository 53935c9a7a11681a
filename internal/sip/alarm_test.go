package sip

import (
	"math/rand/v2"
	"testing"
	"time"
)

type rung struct{ at []instant }

func (r *rung) ring(now instant) { r.at = append(r.at, now) }

// Alarms that are set, moved and taken off at random ring once each, at the first grain after their time and in order.
func TestAlarmsRingWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	clock := newTestClock()
	q := newAlarms(clock)
	random := rand.New(rand.NewPCG(1, 2))
	const count = 200
	alarms := make([]alarm, count)
	rungs := make([]rung, count)
	due := make([]instant, count)
	for i := range alarms {
		alarms[i].owner = &rungs[i]
	}
	for range 3000 {
		i := random.IntN(count)
		switch random.IntN(4) {
		case 0:
			due[i] = 0
		case 1:
			due[i] = q.now() + instant(30*time.Second)
		default:
			due[i] = q.now() + 1 + instant(random.Int64N(int64(5*time.Second)))
		}
		q.set(&alarms[i], due[i])
		clock.Advance(time.Duration(random.Int64N(int64(100 * time.Millisecond))))
		for i := range due {
			grain := (due[i] + alarmGrain - 1) / alarmGrain * alarmGrain
			switch {
			case due[i] != 0 && grain <= q.now():
				if len(rungs[i].at) != 1 || rungs[i].at[0] != grain {
					t.Fatalf("due at %d, rang at %v, now %d", due[i], rungs[i].at, q.now())
				}
				due[i], rungs[i].at = 0, nil
			case len(rungs[i].at) != 0:
				t.Fatalf("due at %d, rang at %v, now %d", due[i], rungs[i].at, q.now())
			}
		}
	}
	q.close()
	clock.Advance(time.Hour)
	for i := range rungs {
		if len(rungs[i].at) != 0 {
			t.Fatal("an alarm rang after the end")
		}
	}
}
