package rafttest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/conclave-dev/conclave/pkg/raft"
)

// hush leaves kinds of messages out of the story.
func (c *Cluster) hush(what string) error {
	switch what {
	case "heartbeats":
		c.quiet[raft.KindHeartbeat], c.quiet[raft.KindHeartbeatReply] = true, true
	case "replies":
		c.quiet[raft.KindAppendEntriesReply] = true
	case "messages":
		for _, kind := range kindNames {
			c.quiet[kind] = true
		}
	case "all":
		c.mute = true
	default:
		return fmt.Errorf("unknown word %q", what)
	}
	return nil
}

// writeState writes a line for every node.
func (c *Cluster) writeState() error {
	for _, n := range c.nodes {
		if n.core == nil {
			if !n.spare {
				fmt.Fprintf(c.Out, "%s  down\n", n.name)
			}
			continue
		}
		s := n.core.Status()
		value := n.value
		if value == "" {
			value = "none"
		}
		entries, err := n.log()
		if err != nil {
			return err
		}
		ailing := ailments(&s)
		if ailing != "" {
			ailing = "  " + ailing
		}
		fmt.Fprintf(c.Out, "%s  %-12s term %d  vote %-6s  leader %-6s  committed %d  value %s  log [%s]%s\n",
			n.name, s.Role, s.Term, c.nameOf(s.Vote), c.nameOf(s.Leader), s.Committed, value, listText(entries), ailing)
	}
	return nil
}

// log tells a node's log, as its core sees it, without the first configuration.
func (n *node) log() ([]string, error) {
	s := n.core.Status()
	var texts []string
	if s.Base > 0 {
		texts = append(texts, fmt.Sprintf("snapshot %d", s.Base))
	}
	entries, err := n.core.Entries(s.Base+1, s.Last+1)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", n.name, err)
	}
	for i := range entries {
		if entries[i].Index > 1 {
			texts = append(texts, entryText(&entries[i]))
		}
	}
	return texts, nil
}

// writeFollowers writes what a leader knows of each other member.
func (c *Cluster) writeFollowers(n *node) {
	for _, f := range n.core.Status().Followers {
		full := ""
		if f.DiskFull {
			full = ", its disk is full"
		}
		fmt.Fprintf(c.Out, "%s  %-9s  matches up to %d, next %d%s\n", c.nameOf(f.ID), f.State, f.Match, f.Next, full)
	}
}

// expect checks sentences, one a line. Each must be true.
func (c *Cluster) expect(input string) error {
	for line := range strings.Lines(input) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		ok, seen, err := c.expectation(line)
		if err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		if !ok {
			return fmt.Errorf("%q is not true: %s\n%s", line, seen, c.told)
		}
	}
	c.told = nil
	return nil
}

// expectation tells whether a sentence is true, and what is seen instead:
//
//	nobody leads                 no node that runs does
//	told TEXT | untold TEXT      since the last expect, the story holds it or not
//	A leads | follows B | is Candidate
//	A term 3 | committed 4 | ends 5/t2 | value 7 | voted B
//	A counts {A B C}             its active configuration
//	A suffers TEXT               what is wrong with its disk or state, or "nothing"
//	A told client-1 TEXT         what it answered; "nothing" when it did not
//	A pauses B | probes B | replicates B
func (c *Cluster) expectation(line string) (bool, string, error) {
	first, rest, _ := strings.Cut(line, " ")
	switch {
	case line == "nobody leads":
		i := slices.IndexFunc(c.nodes, func(n *node) bool { return n.core != nil && n.core.Status().Role == raft.Leader })
		if i >= 0 {
			return false, c.nodes[i].name + " does", nil
		}
		return true, "", nil
	case first == "told":
		return strings.Contains(string(c.told), rest), "it was not told", nil
	case first == "untold":
		return !strings.Contains(string(c.told), rest), "it was told", nil
	}
	n, err := c.node(first)
	if err != nil {
		return false, "", err
	}
	verb, object, _ := strings.Cut(rest, " ")
	seen, err := c.seen(n, verb, &object)
	return seen == object, fmt.Sprintf("%s %s %s", first, verb, seen), err
}

// seen returns what a verb says of a node. It may complete the object.
func (c *Cluster) seen(n *node, verb string, object *string) (string, error) {
	if verb == "told" {
		client, _, _ := strings.Cut(strings.TrimPrefix(*object, "the "), " ")
		if client == "operator" {
			client = operator
		}
		outcome, ok := n.outcomes[client]
		if !ok {
			outcome = "nothing"
		}
		return client + " " + outcome, nil
	}
	if n.core == nil {
		return "", fmt.Errorf("%s does not run", n.name)
	}
	s := n.core.Status()
	switch verb {
	case "leads":
		*object = raft.Leader.String()
		return s.Role.String(), nil
	case "is":
		return s.Role.String(), nil
	case "follows":
		return c.nameOf(s.Leader), nil
	case "term":
		return strconv.FormatUint(uint64(s.Term), 10), nil
	case "committed":
		return strconv.FormatUint(uint64(s.Committed), 10), nil
	case "ends":
		return c.endOf(n)
	case "value":
		return n.value, nil
	case "suffers":
		if ailing := ailments(&s); ailing != "" {
			return ailing, nil
		}
		return "nothing", nil
	case "voted":
		return c.nameOf(s.Vote), nil
	case "counts":
		return membershipText(&s.Membership), nil
	case "probes", "replicates", "snapshots":
		for _, f := range s.Followers {
			if c.nameOf(f.ID) == *object {
				return map[bool]string{true: *object, false: f.State}[strings.HasPrefix(verb, f.State)], nil
			}
		}
		return "nobody of that name", nil
	default:
		return "", fmt.Errorf("unknown verb %q", verb)
	}
}

// endOf returns the place of a node's last entry.
func (c *Cluster) endOf(n *node) (string, error) {
	s := n.core.Status()
	if s.Last == s.Base {
		return at(s.Base, n.disk.base.Term), nil
	}
	entries, err := n.core.Entries(s.Last, s.Last+1)
	if err != nil {
		return "", err
	}
	return at(s.Last, entries[0].Term), nil
}
