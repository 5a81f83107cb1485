// Package e2e tests the project as its users run it: real programs, real disks,
// real networks, seen through HTTP alone. It holds nothing but tests.
//
// The process_ tests run clusters of node processes on this machine, kill, pause
// and cut them off under load, and judge what sixteen clients saw. They need
// Linux, and root where a network is cut.
//
// The kube_ tests tell one story on a real Kubernetes: install the chart, form a
// cluster, break it, delete it, while a writer inside (./writer) notes what it
// sees and ./history judges that. kube.sh runs it and says what it needs; demo.sh
// shows the same to people.
package e2e
