package chaos

import (
	"strings"
	"testing"
	"time"
)

// heard is until a gateway hears from a registry that is well again, at most: it asks every five seconds or so.
const heard = 10 * time.Second

// agentLost kills the agent for a while and starts it again with nothing in it, as a lost disk would. Callers must not notice,
// neither while it is away nor while it answers that there are no instances.
func agentLost(t *testing.T) result {
	f := threeEqual(t)
	for version := range 50 { // The index of the new agent will begin far below that of the old one.
		r := f.instances[0].registration()
		r.version = version
		f.agent.register(t, r)
	}
	l := f.load(t)
	away := shorter(20*time.Second, 5*time.Second)
	f.agent.kill()
	at := time.Now()
	pause(away)
	b := keptAll(t, f, "while the agent is away")
	if age := b.age(t); age < away/2 || age > time.Since(at)+time.Minute {
		t.Errorf("the set of instances is said to be %v old, %v after the agent was killed", age, away)
	}
	f.agent.begin(t)
	pause(2 * time.Second)
	keptAll(t, f, "while the agent knows nothing")

	f.registerAll(t)
	took := within(t, heard, "the gateway to hear from the new agent", func() bool { return f.backend(t).Error == "" })
	next := f.registerOneMore(t, 2*told)
	pause(time.Second)
	outcomes := l.stop()
	allSucceeded(t, at, outcomes)
	return resultOf(outcomes, rounded(took)+" after instances were registered anew; then "+rounded(next)+" to the first call of another one")
}

// startedAlone has another gateway begin with what the first has left on disk.
func startedAlone(t *testing.T) result {
	f := threeEqual(t)
	f.agent.kill()
	f.stop(t)
	f.gateway = startGateway(t, f.configuration)
	at := time.Now()
	if err := f.rest(t.Context(), "restaurants/first/menu"); err != nil {
		t.Errorf("the first call: %v", err)
	}
	first := time.Since(at)
	l := f.load(t)
	pause(shorter(10*time.Second, 3*time.Second))
	if age := keptAll(t, f, "after a start without the agent").age(t); age < time.Since(at) || age > time.Since(at)+time.Minute {
		t.Errorf("the set of instances is said to be %v old, %v after the start", age, time.Since(at))
	}
	f.agent.begin(t)
	f.registerAll(t)
	took := within(t, heard, "the gateway to hear from the new agent", func() bool { return f.backend(t).Error == "" })
	next := f.registerOneMore(t, 2*told)
	outcomes := l.stop()
	allSucceeded(t, at, outcomes)
	return resultOf(outcomes, rounded(first)+" to the first answer; well "+rounded(took)+
		" after instances were registered anew; then "+rounded(next)+" to the first call of another one")
}

// keptAll wants operators to see that something is wrong with the registry, and no instance to be lost.
func keptAll(t *testing.T, f *fleet, when string) backend {
	t.Helper()
	b := f.backend(t)
	if b.Error == "" {
		t.Errorf("%s the admin API tells of no error: %+v", when, b)
	}
	if len(b.Instances) != len(f.instances) || b.healthy() != len(f.instances) || b.Panicking {
		t.Errorf("%s there are not %d healthy instances: %+v", when, len(f.instances), b)
	}
	return b
}

// tokenLost takes the gateway's rights away in both ways that Consul has: it refuses to answer, and it answers without what the
// token may not see, which looks like a service without instances. The agent is started anew at first, so that the gateway asks
// from the beginning: a question that waits for a change is only denied when its wait is over.
func tokenLost(t *testing.T) result {
	f := startFleet(t, startAgentWithACL(t), roundRobin, 1, 1, 1)
	l := f.load(t)
	at := time.Now()
	f.permit(t, wrongToken)
	f.agent.kill()
	f.agent.begin(t)
	f.registerAll(t)
	f.agent.waitFor(t, "two questions with a token that the agent does not know", func() bool {
		return strings.Count(f.agent.stdout.String(), "ACL not found") >= 2
	})
	denied := keptAll(t, f, "while the token is denied").Error
	f.permit(t, anonymousToken)
	within(t, heard, "another error after answers were filtered", func() bool {
		now := f.backend(t).Error
		return now != "" && now != denied
	})
	pause(2 * time.Second)
	keptAll(t, f, "while answers are filtered")

	f.permit(t, gatewayToken)
	took := within(t, heard, "the gateway to be well with its token", func() bool { return f.backend(t).Error == "" })
	next := f.registerOneMore(t, 2*told)
	pause(time.Second)
	outcomes := l.stop()
	allSucceeded(t, at, outcomes)
	return resultOf(outcomes, rounded(took)+" after the token was right again; then "+rounded(next)+" to the first call of another one")
}
