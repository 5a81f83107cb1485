module github.com/conclave-dev/conclave/test/kube/components/pause

go 1.26
