package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/conclave-dev/conclave/pkg/client"
)

// connected returns a client of a node that was just started, for an example.
func connected() (store *client.Client, stop func()) {
	url, stopNode, err := startReal()
	if err != nil {
		log.Fatal(err)
	}
	// A cluster's nodes, or the service in front of them.
	store, err = client.New(client.Options{Endpoints: []string{url}})
	if err != nil {
		log.Fatal(err)
	}
	return store, func() {
		store.Close()
		stopNode()
	}
}

// A value is changed on the condition that nobody was quicker.
func ExampleClient_Put() {
	store, stop := connected()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	first, err := store.Put(ctx, "pay", "db/url", []byte("postgres://a"), client.PutOptions{IfAbsent: true})
	fmt.Println(first, err)
	second, err := store.Put(ctx, "pay", "db/url", []byte("postgres://b"), client.PutOptions{IfRevision: first})
	fmt.Println(second, err)

	_, err = store.Put(ctx, "pay", "db/url", []byte("postgres://c"), client.PutOptions{IfRevision: first})
	if failure := (*client.Error)(nil); errors.Is(err, client.ErrChanged) && errors.As(err, &failure) {
		fmt.Println("changed meanwhile, at revision", failure.CurrentRevision)
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
	// changed meanwhile, at revision 2
}

// A read says how fresh it has to be, and is told how fresh it was.
func ExampleClient_Get() {
	store, stop := connected()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	seen, err := store.Put(ctx, "pay", "db/url", []byte("postgres://a"), client.PutOptions{})
	if err != nil {
		log.Fatal(err)
	}

	var worth client.Standing
	entry, err := store.Get(ctx, "pay", "db/url", client.ReadOptions{MinRevision: seen, Standing: &worth})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %s at revision %d\n", entry.Value, worth.Consistency, worth.Revision)
	_, err = store.Get(ctx, "pay", "nothing", client.ReadOptions{})
	fmt.Println(errors.Is(err, client.ErrNotFound))
	// Output:
	// postgres://a, session at revision 1
	// true
}

// A listing of any length comes as a stream, all of it as of one revision.
func ExampleClient_Entries() {
	store, stop := connected()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, key := range []string{"db/user", "db/url", "name"} {
		if _, err := store.Put(ctx, "pay", key, []byte("the "+key), client.PutOptions{}); err != nil {
			log.Fatal(err)
		}
	}

	for entry, err := range store.Entries(ctx, "pay", client.ListOptions{Prefix: "db/", Values: true}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s = %s\n", entry.Key, entry.Value)
	}
	// Output:
	// db/url = the db/url
	// db/user = the db/user
}

// Keys that belong together are read at one revision.
func ExampleClient_Batch() {
	store, stop := connected()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := store.Put(ctx, "pay", "db/url", []byte("postgres://a"), client.PutOptions{}); err != nil {
		log.Fatal(err)
	}

	batch, err := store.Batch(ctx, []client.BatchItem{
		{Namespace: "pay", Key: "db/url"}, {Namespace: "pay", Key: "db/user"}, {Namespace: "pay", Prefix: "db/"},
	}, client.ReadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %v, %d\n", batch.Results[0].Entry.Value, batch.Results[1].Entry, len(batch.Results[2].Entries))
	// Output:
	// postgres://a, <nil>, 1
}

// A program keeps a copy of its configuration, which answers at once, and without
// any node too.
func ExampleCache() {
	store, stop := connected()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := store.Put(ctx, "pay", "db/url", []byte("postgres://a"), client.PutOptions{}); err != nil {
		log.Fatal(err)
	}

	cache := store.NewCache("pay", "db/")
	ended := make(chan error)
	go func() { ended <- cache.Run(ctx) }()
	if err := cache.Ready(ctx); err != nil {
		log.Fatal(err)
	}
	entry, ok := cache.Get("db/url")
	fmt.Printf("%s, %v, at revision %d\n", entry.Value, ok, cache.Revision())

	changed := cache.Changed()
	if _, err := store.Put(ctx, "pay", "db/url", []byte("postgres://b"), client.PutOptions{}); err != nil {
		log.Fatal(err)
	}
	<-changed
	entry, _ = cache.Get("db/url")
	fmt.Printf("%s\n", entry.Value)

	cancel()
	fmt.Println(errors.Is(<-ended, context.Canceled))
	// Output:
	// postgres://a, true, at revision 1
	// postgres://b
	// true
}

// A watch goes on after the revision where another one ended.
func ExampleClient_Watch() {
	store, stop := connected()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	seen, err := store.Put(ctx, "pay", "db/url", []byte("postgres://a"), client.PutOptions{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := store.Delete(ctx, "pay", "db/url", client.DeleteOptions{}); err != nil {
		log.Fatal(err)
	}

	for event, err := range store.Watch(ctx, "pay", client.WatchOptions{Prefix: "db/", From: seen}) {
		if err != nil {
			log.Fatal(err)
		}
		if event.Kind != client.EventChange {
			continue
		}
		for _, change := range event.Changes {
			fmt.Println(event.Revision, change.Entry.Key, "deleted:", change.Deleted)
		}
		break
	}
	// Output:
	// 2 db/url deleted: true
}

// A part of a JSON value is changed, on the condition that it is the value that was
// read.
func ExampleClient_Patch() {
	store, stop := connected()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	seen, err := store.Put(ctx, "pay", "app.json", []byte(`{"pool":8,"debug":true}`), client.PutOptions{Type: "application/json"})
	if err != nil {
		log.Fatal(err)
	}

	_, err = store.Patch(ctx, "pay", "app.json", []byte(`{"pool":16,"debug":null}`), client.PatchOptions{IfRevision: seen})
	if err != nil {
		log.Fatal(err)
	}
	entry, err := store.Get(ctx, "pay", "app.json", client.ReadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", entry.Value)
	// Output:
	// {"pool":16}
}

// A schema says what the values under a prefix must be like, and a refusal where one
// isn't.
func ExampleClient_AttachSchema() {
	store, stop := connected()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	schema := []byte(`{"properties":{"port":{"type":"integer","maximum":65535}}}`)
	if _, err := store.AttachSchema(ctx, "web", "listen/", schema, client.SchemaOptions{}); err != nil {
		log.Fatal(err)
	}

	_, err := store.Put(ctx, "web", "listen/http", []byte(`{"port":80800}`), client.PutOptions{Type: "application/json"})
	if failure := (*client.Error)(nil); errors.Is(err, client.CodeSchema) && errors.As(err, &failure) {
		for _, v := range failure.Violations {
			fmt.Println(v.Pointer, v.Message)
		}
	}
	// Output:
	// /port is more than 65535
}

// A namespace gets a quota of its own, and tells how much of it is used.
func ExampleClient_PutNamespaceSettings() {
	store, stop := connected()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	quota := client.NamespaceSettings{QuotaBytes: 1 << 20}
	if _, err := store.PutNamespaceSettings(ctx, "pay", quota, client.SettingsOptions{IfUnset: true}); err != nil {
		log.Fatal(err)
	}

	usage, err := store.NamespaceUsage(ctx, "pay", client.ReadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(usage.Keys, "keys,", usage.QuotaBytes, "bytes may be used")
	// Output:
	// 0 keys, 1048576 bytes may be used
}
