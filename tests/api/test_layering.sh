#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The check of layering finds what it should: each bad include is planted into a copy of the tree,
# where it must be found by file, line and rule. `test_layering.sh ROOT`.

set -euo pipefail
root=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
count=0

fail() {
    echo "FAILED: $*"
    failed=1
}

# A small tree with an include of every kind that is allowed.
plant() { # file include
    mkdir -p "$work/$(dirname "$1")"
    printf '/* planted */\n#include %s\n' "$2" > "$work/$1"
}

reset_tree() {
    rm -rf "${work:?}"/*
    plant include/weir/base.h '<stdint.h>'
    plant include/weir/state.h '<weir/base.h>'
    plant src/base/json.h '"base/buffer.h"'
    plant src/base/buffer.h '<weir/base.h>'
    plant src/backend/database.h '"base/json.h"'
    plant src/backend/registry.c '"backend/memory/memory.h"'
    plant src/backend/loader.c '<dlfcn.h>'
    plant src/backend/memory/memory.h '<weir/backend.h>'
    plant src/backend/memory/tree.c '"backend/memory/memory.h"'
    plant src/backend/memory/near.c '"memory.h"'
    plant src/backend/rocksdb/db.c '<rocksdb/c.h>'
    plant src/state/txn.c '"backend/database.h"'
    plant src/kafka/consumer.c '<librdkafka/rdkafka.h>'
    plant src/app/worker.c '"kafka/kafka.h"'
    plant src/stream/graph.c '"app/task.h"'
    plant examples/flights/flights.c '<weir/weir.h>'
    plant examples/flights/demo.c '<librdkafka/rdkafka.h>'
    plant tests/state/test_txn.c '"state/txn.h"'
    plant bench/state.c '<rocksdb/c.h>'
}

expect_fine() { # what
    local output
    if output=$("$root/scripts/check_layering" "$work"); then
        count=$((count + 1))
    else
        fail "$1 is refused: $output"
    fi
}

expect_refused() { # file include rule
    local output
    reset_tree
    plant "$1" "$2"
    if output=$("$root/scripts/check_layering" "$work"); then
        fail "$1 may include $2"
    elif [ "$output" != "$1:2: #include $2: $3" ]; then
        fail "$1 with $2 is refused with: $output"
    else
        count=$((count + 1))
    fi
}

reset_tree
expect_fine "a tree in order"

expect_refused src/base/bad.c '"state/txn.h"' 'src/base may not include src/state'
expect_refused src/base/bad.h '"backend/database.h"' 'src/base may not include src/backend'
expect_refused src/backend/bad.c '"state/txn.h"' 'src/backend may not include src/state'
expect_refused src/state/bad.c '"kafka/kafka.h"' 'src/state may not include src/kafka'
expect_refused src/kafka/bad.c '"app/task.h"' 'src/kafka may not include src/app'
expect_refused src/app/bad.c '"stream/graph.h"' 'src/app may not include src/stream'
expect_refused src/window/bad.c '"base/json.h"' 'src/window is not in the table of layers'
expect_refused src/app/bad.c '"tests/x.h"' '"tests" is not in the table of layers'
expect_refused src/state/bad.c '"backend/rocksdb/db.h"' \
    'only src/backend knows which backends there are'
expect_refused src/backend/memory/bad.c '"backend/database.h"' \
    'a backend may include its own folder, base and public headers only'
expect_refused src/backend/memory/bad.c '"backend/rocksdb/db.h"' \
    'a backend may include its own folder, base and public headers only'
expect_refused src/app/bad.c '"../base/json.h"' 'no paths through ".."'
expect_refused src/app/bad.c '"json.h"' 'not a file of this folder; name the layer, as in "base/json.h"'
expect_refused src/app/bad.c '<base/json.h>' 'headers of src are included in quotes'
expect_refused src/state/bad.c '<librdkafka/rdkafka.h>' 'librdkafka is for src/kafka'
expect_refused src/app/bad.c '<librdkafka/rdkafka.h>' 'librdkafka is for src/kafka'
expect_refused examples/flights/flights.c '<librdkafka/rdkafka.h>' 'librdkafka is for src/kafka'
expect_refused src/state/bad.c '<rocksdb/c.h>' 'RocksDB is for src/backend/rocksdb'
expect_refused src/backend/bad.c '<rocksdb/c.h>' 'RocksDB is for src/backend/rocksdb'
expect_refused src/state/bad.c '<dlfcn.h>' 'plugins are loaded in src/backend'
expect_refused src/stream/bad.c '<pthread.h>' 'src/stream knows nothing of threads'
expect_refused include/weir/bad.h '"base/json.h"' \
    'a public header includes public headers, as <weir/...>'
expect_refused include/weir/bad.h '<librdkafka/rdkafka.h>' \
    'a public header includes <weir/...> and the C library'
for folder in kit tools python examples/flights; do
    expect_refused "$folder/bad.c" '"base/json.h"' \
        'only public headers, as <weir/...>, and files of this folder'
done

# And in the real tree: one bad line among all others.
rm -rf "${work:?}"/*
for folder in include src tests bench examples fuzz kit tools python; do
    if [ -d "$root/$folder" ]; then
        cp -r "$root/$folder" "$work/"
    fi
done
expect_fine "this tree"
printf '#include "stream/graph.h"\n' >> "$work/src/base/status.c"
output=$("$root/scripts/check_layering" "$work") && fail "a bad line in src/base/status.c is not found"
[[ $output == src/base/status.c:*'src/base may not include src/stream' ]] ||
    fail "a bad line in src/base/status.c is reported as: $output"

echo "$count cases are as expected"
exit $failed
