// Package e2e tests the project as its users run it: real programs, real disks,
// real networks, seen through HTTP alone. It holds nothing but tests.
//
// The process_ tests run clusters of node processes on this machine, do to them
// what happens to machines, and judge what sixteen clients saw:
//
//	killed       at random moments, and at named points of a write's way
//	power cut    disks cloned at one instant under load, and started from the copy
//	damaged      one bit or the end of any file in a data directory
//	disk full    up to the last byte: a follower's, the leader's, all
//	disk stalled frozen file systems
//	paused       for longer than an election takes; clocks an hour off
//	cut off      by a network between them
//	changed      from one member to five and back
//
// Clients that repeat writes with an idempotency key, and so know all that
// happened, tell whether each was done once and whether watches told all of it.
//
// They need Linux, and root where a network is cut or a file system is made. What
// the product has no switch for is built in with go build -overlay: see alteration.
// In make test each is done a few times. The flags -kill-rounds, -kill-points,
// -power-cuts, -flips, -leader-kills, -retries and -watch-rounds say how often; make
// evidence has large numbers for them, and prints a line of what came of each.
//
// The kube_ tests tell one story on a real Kubernetes: install the chart, form a
// cluster, break it, delete it, while a writer inside (./writer) notes what it
// sees and ./history judges that. kube.sh runs it and says what it needs; demo.sh
// shows the same to people.
package e2e
