package instances_test

import (
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
)

// TestSlowByNature has a method that takes three seconds everywhere, but is called on one instance alone, and quick refusals of it.
func TestSlowByNature(t *testing.T) {
	for name, refusals := range map[string]bool{"always": false, "between refusals": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := defaults()
				f := start(t, 3, o)
				defer f.stop()
				wait(time.Second)
				for n := range 30 {
					f.servers["a:1"].do(takes(3 * time.Second))
					if _, err := f.call(&one{avoid: []string{"b:1", "c:1"}}, time.Minute); err != nil {
						t.Fatal(err)
					}
					if why := f.out("a:1"); why != "" {
						t.Fatalf("call %d: out: %s", n, why)
					}
					for range 30 {
						if !refusals {
							break
						}
						f.servers["b:1"].do(answers(codes.InvalidArgument))
						f.call(&one{avoid: []string{"a:1", "c:1"}}, time.Minute)
					}
				}
			})
		})
	}
}
