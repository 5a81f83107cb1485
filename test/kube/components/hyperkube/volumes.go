package main

import (
	"fmt"
	"os"

	"github.com/fsnotify/fsnotify"
)

// provisionerDir is where the host-path provisioner makes volumes; the path is fixed in its source.
const provisionerDir = "/tmp/hostpath_pv"

// openVolumes lets every user write to the volumes that appear in dir. The provisioner makes them
// 0750 for root and a hostPath volume knows no fsGroup, so a pod that is not root could not write.
func openVolumes(dir string) {
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		err = watcher.Add(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "volumes stay closed to pods that are not root:", err)
		return
	}
	for event := range watcher.Events {
		if !event.Has(fsnotify.Create) {
			continue
		}
		if err := os.Chmod(event.Name, 0o777); err != nil {
			fmt.Fprintln(os.Stderr, "volume stays closed:", err)
		}
	}
}
