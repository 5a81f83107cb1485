// Package pki is what the parts of Conclave agree on about certificates: the
// names that they are made out to, how they are read from disk and read again when
// they change, and how a small authority issues them.
//
// # Names
//
// A certificate says who its holder is in a URI among its alternative names
// (RFC 5280, section 4.2.1.6):
//
//	conclave://CLUSTER/node/NAME   a node, to its peers
//	conclave://CLUSTER/admin/NAME  a person, to the operations port
//	conclave://CLUSTER/operator    the operator, to the operations port
//
// CLUSTER is the cluster's ID, so that clusters may share an authority. Other names
// in the certificate, those by which clients call a node among them, are nobody's
// concern here. One with the names of two clusters holds for both, which is how
// a cluster gets another ID.
//
// # Promises
//
// A Store never hands out a pair that doesn't fit together, that its authorities
// don't know or that isn't made out to whom it should be: what is broken on disk
// leaves in use what was there before, and is told. It reads files of bounded size,
// and a configuration made from it uses what is current at each handshake, so
// connections that stand are never touched. Private keys appear in no error and no
// log.
//
// Policy.Next is a pure function of the time and of what is kept: what an authority's
// keeper has to do next, through renewals of the authority too. Who reads in time what
// is kept trusts, at every moment, everybody else who does.
//
// It uses the standard library alone. The node, the operator and `node dev` call it.
package pki
