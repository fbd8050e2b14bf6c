package consul

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/cardea-gateway/cardea/discovery"
)

// Keys of an instance's metadata, beside those of the service. Consul allows no dot in a key, so that they collide with none.
const (
	// MetadataNode is the name of the node.
	MetadataNode = "consul.node"
	// MetadataDatacenter is the datacenter of the node.
	MetadataDatacenter = "consul.datacenter"
	// MetadataTags are the tags of the service, with commas between them. There is none if the service has no tags.
	MetadataTags = "consul.tags"
)

// zoneKey is the key of the zone in the metadata of a service or of a node.
const zoneKey = "zone"

// instances returns what an answer lists. Healthy ones come first: where a new instance took over the address of one that is
// still listed, it is the one that counts. Their order is Consul's otherwise.
func (t *target) instances(entries []*api.ServiceEntry) ([]discovery.Instance, error) {
	var all []discovery.Instance
	for _, e := range entries {
		if e == nil || e.Node == nil || e.Service == nil {
			return nil, errors.New("its answer has an instance without a node or a service")
		}
		if address, ok := addressOf(e); ok {
			all = append(all, t.instance(e, address))
		}
	}
	if len(all) == 0 && len(entries) > 0 {
		return nil, fmt.Errorf("none of the %d instances has both an address and a port", len(entries))
	}
	slices.SortStableFunc(all, func(a, b discovery.Instance) int { return cmp.Compare(rank(a), rank(b)) })
	return all, nil
}

func rank(i discovery.Instance) int {
	if i.Unhealthy == "" {
		return 0
	}
	return 1
}

func (t *target) instance(e *api.ServiceEntry, address string) discovery.Instance {
	worst, status := worstCheck(e.Checks)
	i := discovery.Instance{
		Address:  address,
		ID:       e.Service.ID,
		Weight:   weightOf(e.Service.Weights, status),
		Zone:     zoneOf(e),
		Metadata: metadataOf(e),
	}
	if status > warning || status == warning && !t.warning {
		i.Unhealthy = worst
	}
	return i
}

func addressOf(e *api.ServiceEntry) (string, bool) {
	host := cmp.Or(e.Service.Address, e.Node.Address)
	port := e.Service.Port
	return net.JoinHostPort(host, strconv.Itoa(port)), host != "" && port > 0 && port <= 65535
}

// status is what a check says. The worse, the higher.
type status int

const (
	passing status = iota
	warning
	critical
	maintenance
)

// worstCheck says which check is the worst, and how bad it is. Of several, it is the first by name, so that the words change
// only if something has changed.
func worstCheck(checks api.HealthChecks) (string, status) {
	words, worst := "", passing
	for _, c := range checks {
		if c == nil {
			continue
		}
		now, of := describe(c), statusOf(c)
		if of > worst || of == worst && now < words {
			words, worst = now, of
		}
	}
	return words, worst
}

func describe(c *api.HealthCheck) string {
	switch {
	case c.CheckID == api.NodeMaint:
		return "the node is in maintenance"
	case strings.HasPrefix(c.CheckID, api.ServiceMaintPrefix):
		return "the service is in maintenance"
	}
	return "check " + c.CheckID + " is " + c.Status
}

// statusOf takes a status that it does not know for the worst that a check can say.
func statusOf(c *api.HealthCheck) status {
	switch {
	case c.CheckID == api.NodeMaint, strings.HasPrefix(c.CheckID, api.ServiceMaintPrefix):
		return maintenance
	case c.Status == api.HealthPassing:
		return passing
	case c.Status == api.HealthWarning:
		return warning
	}
	return critical
}

// weightOf is the weight for a status. Where there is none, it is that of better days.
func weightOf(w api.AgentWeights, of status) uint32 {
	switch of { //nolint:exhaustive // The others have the same weight.
	case maintenance: // An operator wants no calls there; with other reasons, it may still be needed when most are unhealthy.
		return 0
	case warning:
		return uint32(max(0, w.Warning))
	}
	return uint32(max(0, w.Passing))
}

func zoneOf(e *api.ServiceEntry) string {
	zone := cmp.Or(e.Service.Meta[zoneKey], e.Node.Meta[zoneKey])
	for _, locality := range []*api.Locality{e.Service.Locality, e.Node.Locality} {
		if locality != nil {
			zone = cmp.Or(zone, locality.Zone)
		}
	}
	return zone
}

func metadataOf(e *api.ServiceEntry) map[string]string {
	all := map[string]string{
		MetadataNode:       e.Node.Node,
		MetadataDatacenter: e.Node.Datacenter,
		MetadataTags:       strings.Join(e.Service.Tags, ","),
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	for key, value := range e.Service.Meta {
		if _, ours := all[key]; !ours {
			all[key] = value
		}
	}
	return all
}
