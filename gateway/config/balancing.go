package config

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	configv1 "github.com/cardea-gateway/cardea/gen/go/cardea/config/v1"
)

// shortestSlowStart is what the balancer accepts.
const shortestSlowStart = 100 * time.Millisecond

// checkBalancing refuses what a way to spread calls does not know of: it would be ignored without a word.
func checkBalancing(cfg *configv1.Config, doc *document) {
	for i, b := range cfg.GetBackends() {
		path := fmt.Sprintf("backends[%d]", i)
		hashes := b.GetLoadBalancing() == configv1.LoadBalancing_LOAD_BALANCING_RING_HASH
		weighs := b.GetLoadBalancing() == configv1.LoadBalancing_LOAD_BALANCING_WEIGHTED_ROUND_ROBIN
		switch {
		case hashes && b.GetHashKey() == nil:
			doc.refuse(path+".load_balancing", "LOAD_BALANCING_RING_HASH needs a hash_key, such as {header: x-tenant-id}")
		case !hashes && b.GetHashKey() != nil:
			doc.refuse(path+".hash_key", "is for load_balancing: LOAD_BALANCING_RING_HASH alone; set that, or remove this")
		}
		if !weighs && b.GetSlowStart().AsDuration() > 0 {
			doc.refuse(path+".slow_start", "is for load_balancing: LOAD_BALANCING_WEIGHTED_ROUND_ROBIN alone; set that, or remove this")
		}
		if d := b.GetSlowStart().AsDuration(); d > 0 && d < shortestSlowStart {
			doc.refuse(path+".slow_start", "%s is too short for steps; write at least %s, or 0s for none",
				FormatDuration(d), FormatDuration(shortestSlowStart))
		}
		if !weighs && b.GetPreferZone() {
			doc.refuse(path+".prefer_zone", "is for load_balancing: LOAD_BALANCING_WEIGHTED_ROUND_ROBIN alone; set that, or remove this")
		}
		if b.GetPreferZone() && cfg.GetZone() == "" {
			doc.refuse(path+".prefer_zone", "needs the gateway's own zone; set zone at the top, such as zone: eu-west-1a")
		}
		o := b.GetOutlierDetection()
		if first, longest := o.GetEjectionTime().AsDuration(), o.GetMaxEjectionTime().AsDuration(); first > longest && longest > 0 {
			doc.refuse(path+".outlier_detection.ejection_time", "%s is more than max_ejection_time, %s; lower the one or raise the other",
				FormatDuration(first), FormatDuration(longest))
		}
	}
}

// checkRegistration wants an address that others can reach.
func checkRegistration(cfg *configv1.Config, doc *document) {
	r := cfg.GetConsul().GetRegister()
	host, _, err := net.SplitHostPort(r.GetAddress())
	if err != nil {
		return // for the schema to refuse
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		doc.refuse("consul.register.address",
			"%s stands for every interface of a machine; write the one that others reach, such as 10.0.0.5", host)
	}
}
