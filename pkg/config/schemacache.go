package config

import "sync"

// Limits of a SchemaCache. A compiled schema takes some ten times the memory
// of its document.
const (
	maxCachedSchemas     = 256
	maxCachedSchemaBytes = 4 << 20
)

// SchemaID names one state of one schema: a revision may attach several.
type SchemaID struct {
	Namespace, Prefix string
	Revision          uint64
}

// SchemaCache keeps the schemas that were used last, compiled. The zero value
// is ready, and may be used by many goroutines at once.
type SchemaCache struct {
	mu      sync.Mutex
	schemas map[SchemaID]*cachedSchema
	// bytes are the documents of all, clock counts the uses.
	bytes int
	clock uint64
}

type cachedSchema struct {
	schema *Schema
	bytes  int
	used   uint64
}

// Get returns the schema that id names, compiled from document unless the
// cache has it. Its error is that of CompileSchema.
func (c *SchemaCache) Get(id SchemaID, document []byte) (*Schema, error) {
	if schema := c.lookUp(id); schema != nil {
		return schema, nil
	}
	// Others need not wait for this one.
	schema, err := CompileSchema(document)
	if err != nil {
		return nil, err
	}
	c.keep(id, schema, len(document))
	return schema, nil
}

func (c *SchemaCache) lookUp(id SchemaID) *Schema {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.schemas[id]
	if kept == nil {
		return nil
	}
	c.clock++
	kept.used = c.clock
	return kept.schema
}

// keep adds a schema, and drops those that were used longest ago for it.
func (c *SchemaCache) keep(id SchemaID, schema *Schema, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.schemas == nil {
		c.schemas = make(map[SchemaID]*cachedSchema)
	}
	if old := c.schemas[id]; old != nil { // compiled twice at once
		c.drop(id)
	}
	for len(c.schemas) > 0 && (len(c.schemas) >= maxCachedSchemas || c.bytes+bytes > maxCachedSchemaBytes) {
		c.drop(c.oldest())
	}
	c.clock++
	c.schemas[id] = &cachedSchema{schema: schema, bytes: bytes, used: c.clock}
	c.bytes += bytes
}

func (c *SchemaCache) oldest() (id SchemaID) {
	var used uint64
	for candidate, kept := range c.schemas {
		if used == 0 || kept.used < used {
			id, used = candidate, kept.used
		}
	}
	return id
}

func (c *SchemaCache) drop(id SchemaID) {
	c.bytes -= c.schemas[id].bytes
	delete(c.schemas, id)
}
