#!/bin/sh
# image.sh NAME:TAG FILE builds the image of the Dockerfile from the programs in
# bin and writes it to FILE as an archive that container engines and nodes load.
# It needs buildah, no engine, and no network; nothing of it stays on the machine.
set -eu
cd "$(dirname "$0")/../.."
name=$1 file=$2

store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
build() { buildah --root "$store/root" --runroot "$store/run" --storage-driver vfs "$@"; }

rm -f "$file"
build build --quiet --isolation chroot --pull-never --target prebuilt --build-arg VERSION="${name##*:}" --tag "$name" . >/dev/null
build push --quiet "$name" "docker-archive:$file:$name"
