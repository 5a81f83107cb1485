package config

import "fmt"

// FeatureLevel is the newest feature level that this program knows. A release
// that adds a command, or a layout of one, that the release before it can't read
// raises it; members of both can run together until the store's own level is
// raised through its settings.
const FeatureLevel = 1

// levels holds the feature levels of commands that came after the first, by kind
// and version of the layout. Store proposes none before the store has reached
// its level.
var levels = map[commandLayout]uint64{}

type commandLayout struct {
	kind    commandKind
	version uint8
}

// checkLevel returns ErrFeatureLevel when an encoded command needs a higher level
// than the store's.
func checkLevel(command []byte, level uint64) error {
	layout := commandLayout{commandKind(command[0]), command[1]}
	if needed := levels[layout]; needed > level {
		return fmt.Errorf("%w: the command is of level %d and the store at %d; raise it in the settings when all members run this release",
			ErrFeatureLevel, needed, level)
	}
	return nil
}
