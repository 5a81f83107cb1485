package config

import (
	"fmt"
)

// MaxCommandBytes is the size of the largest encoded command: 4 MiB.
const MaxCommandBytes = 4 << 20

// Put writes a value to a key.
type Put struct {
	Namespace string
	Key       string
	// Value may be empty, and has at most MaxValueBytes.
	Value []byte
	// MediaType is DefaultMediaType when empty.
	MediaType string
	// If must hold for the put to take effect; otherwise ErrConflict.
	If Precondition
	// Idempotency is a key of the client's choice, 1 to MaxIdempotencyKeyBytes of
	// printable ASCII, or empty. Of writes with the same key in a namespace the
	// first is carried out; the others, if they say the same, return its result.
	// It is kept for Settings.IdempotencyWindowMillis, whatever it is.
	Idempotency string
}

// Delete removes a key.
type Delete struct {
	Namespace string
	Key       string
	// If must hold for the delete to take effect; otherwise ErrConflict. It is
	// looked at before the key's existence is.
	If Precondition
	// Idempotency is as in Put.
	Idempotency string
}

// A command is encoded as
//
//	kind (1 byte) | version of the kind's layout (1 byte) | msgpack array
//
// Fields are only ever appended to an array, and every time the layout's
// version grows. A member that doesn't know a kind or version can tell, instead
// of taking a new command for an old one.
type commandKind uint8

const (
	kindPut               commandKind = 1
	kindDelete            commandKind = 2
	kindRecover           commandKind = 3
	kindTxn               commandKind = 4
	kindRollback          commandKind = 5
	kindSettings          commandKind = 6
	kindNamespaceSettings commandKind = 7
	kindGuarded           commandKind = 8
	kindAttachSchema      commandKind = 9
	kindDetachSchema      commandKind = 10
)

// commandHeaderBytes is what stands before the array.
const commandHeaderBytes = 2

// layouts holds, for each kind, the number of array elements of version 1, 2
// and so on.
var layouts = map[commandKind][]int{
	kindPut:               {6},
	kindDelete:            {4},
	kindRecover:           {1},
	kindTxn:               {4},
	kindRollback:          {4},
	kindSettings:          {8},
	kindNamespaceSettings: {4},
	kindGuarded:           {5},
	kindAttachSchema:      {5},
	kindDetachSchema:      {4},
}

// putFields is a put in the log. Append only.
type putFields struct {
	Namespace  string
	Key        string
	Value      []byte
	MediaType  string
	IfKind     preconditionKind
	IfRevision uint64
}

// deleteFields is a delete in the log. Append only.
type deleteFields struct {
	Namespace  string
	Key        string
	IfKind     preconditionKind
	IfRevision uint64
}

// Encode checks the put and returns it as a command. It returns an
// InvalidError or ErrTooLarge when the put can never succeed.
func (p *Put) Encode() ([]byte, error) { return encodeGuarded(p.command()) }

func (p *Put) command() ([]byte, guard, error) {
	fields, err := p.fields()
	if err != nil {
		return nil, guard{}, err
	}
	command, err := encodeCommand(kindPut, fields, len(p.Value)+len(p.Key)+len(fields.MediaType))
	return command, newGuard(p.Namespace, p.Idempotency, kindPut, fields), err
}

// fields checks the put and returns what of it goes into the log.
func (p *Put) fields() (*putFields, error) {
	fields := &putFields{
		Namespace: p.Namespace, Key: p.Key, Value: p.Value, MediaType: mediaTypeOr(p.MediaType),
		IfKind: p.If.kind, IfRevision: p.If.number,
	}
	if err := fields.check(); err != nil {
		return nil, err
	}
	return fields, CheckMediaType(fields.MediaType)
}

// Encode checks the delete and returns it as a command. It returns an
// InvalidError when the delete can never succeed.
func (d *Delete) Encode() ([]byte, error) { return encodeGuarded(d.command()) }

func (d *Delete) command() ([]byte, guard, error) {
	fields := deleteFields{Namespace: d.Namespace, Key: d.Key, IfKind: d.If.kind, IfRevision: d.If.number}
	if err := fields.check(); err != nil {
		return nil, guard{}, err
	}
	command, err := encodeCommand(kindDelete, &fields, len(d.Key))
	return command, newGuard(d.Namespace, d.Idempotency, kindDelete, &fields), err
}

// encodeCommand encodes fields in the newest layout of their kind. variable is
// the number of bytes in long fields, to make room for all at once.
func encodeCommand(kind commandKind, fields any, variable int) ([]byte, error) {
	const fixed = 128 // headers, namespace and numbers
	buf := make([]byte, commandHeaderBytes, fixed+variable)
	buf[0], buf[1] = byte(kind), byte(len(layouts[kind]))
	buf, err := appendEncoded(buf, fields)
	if err != nil {
		return nil, err
	}
	if len(buf) > MaxCommandBytes {
		return nil, tooLarge(len(buf))
	}
	return buf, nil
}

func tooLarge(bytes int) error {
	return fmt.Errorf("%w: the command has %d bytes and may have %d", ErrTooLarge, bytes, MaxCommandBytes)
}

// decodeCommand returns the fields of the command that data holds, checked. Its error is ErrUnknownCommand or ErrMalformedCommand.
func decodeCommand(data []byte) (any, error) {
	if len(data) < commandHeaderBytes || len(data) > MaxCommandBytes {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrMalformedCommand, len(data))
	}
	kind, version := commandKind(data[0]), int(data[1])
	versions := layouts[kind]
	if version == 0 || version > len(versions) {
		return nil, fmt.Errorf("%w: kind %d, version %d", ErrUnknownCommand, kind, version)
	}
	var fields interface{ check() error }
	switch kind {
	case kindPut:
		fields = new(putFields)
	case kindDelete:
		fields = new(deleteFields)
	case kindRecover:
		fields = new(recoverFields)
	case kindTxn:
		fields = new(txnFields)
	case kindRollback:
		fields = new(rollbackFields)
	case kindSettings:
		fields = new(settingsFields)
	case kindNamespaceSettings:
		fields = new(namespaceSettingsFields)
	case kindGuarded:
		fields = new(guardedFields)
	case kindAttachSchema:
		fields = new(attachFields)
	case kindDetachSchema:
		fields = new(detachFields)
	}
	var err error
	if array, length := data[commandHeaderBytes:], versions[version-1]; kind == kindTxn {
		err = fields.(*txnFields).decode(array, length)
	} else {
		err = decodeFields(array, length, fields)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformedCommand, err)
	}
	if err := fields.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformedCommand, err)
	}
	return fields, nil
}

// check repeats in Apply what Encode checked, as far as all releases agree.
func (f *putFields) check() error {
	if err := checkTarget(f.Namespace, f.Key, f.IfKind); err != nil {
		return err
	}
	if err := checkValue(f.Value); err != nil {
		return err
	}
	return checkMediaTypeBytes(f.MediaType)
}

func (f *deleteFields) check() error { return checkTarget(f.Namespace, f.Key, f.IfKind) }

func checkTarget(namespace, key string, condition preconditionKind) error {
	if err := CheckNamespace(namespace); err != nil {
		return err
	}
	if err := CheckKey(key); err != nil {
		return err
	}
	return checkCondition(condition)
}

func checkCondition(condition preconditionKind) error {
	if condition >= conditionEnd {
		return invalid("precondition", "kind %d is unknown", condition)
	}
	return nil
}
