// Package arch keeps the architecture true: it reads the source of this module
// and reports where it breaks one of three laws.
//
//   - The import law (law.go): each package has a row that says what it may
//     import and what it never may, with the reason beside each ban. A package
//     without a row is a violation, so a new folder starts with a decision.
//     Three packages are also checked through everything that they reach.
//   - The size law (size.go): no function over 70 lines, no file over 500, tests
//     included. Generated files are exempt and are named zz_generated*.
//   - The layout law (layout.go): each package says in doc.go what it is, and
//     none has a name that could hold anything.
//
// It promises to name file and line in each violation, to look at every file
// whatever its build constraints, and to report all violations of a run at once.
// It never changes a file and never compiles what it reads. Nested modules (a
// folder with a go.mod of its own) are held to the size law only.
//
// Its callers are its own tests, which `make arch` and `make check` run. To
// loosen a law is to change law.go, in a diff that someone reviews.
package arch
