// Command node runs one member of a Conclave cluster, or with "node dev" a whole
// cluster of three in one process. It turns flags and a configuration file into
// node.Options and leaves everything else to internal/node.
package main
