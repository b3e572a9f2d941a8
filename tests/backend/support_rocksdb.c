/*
 * What the tests of the RocksDB backend share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "backend/support_rocksdb.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/rocksdb/rocksdb.h"
#include "base/option.h"

void rdb_join(char *path, const char *folder, const char *name)
{
    int size = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    assert_in_range(size, 1, PATH_MAX - 1);
}

void rdb_folder_make(char *path)
{
    const char *base = getenv("TMPDIR");
    rdb_join(path, base && base[0] ? base : "/tmp", "weir-rocksdb-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

void rdb_folder_remove(const char *path)
{
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

size_t rdb_count_files(const char *folder, const char *suffix, char *name)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        size_t size = strlen(entry->d_name);
        if (entry->d_name[0] == '.' || size < strlen(suffix) ||
            strcmp(entry->d_name + size - strlen(suffix), suffix) != 0)
            continue;
        if (count == 0 && name)
            (void)snprintf(name, NAME_MAX + 1, "%s", entry->d_name);
        count++;
    }
    (void)closedir(dir);
    return count;
}

static void ignore_log(weir_log_level level, const char *event, const char *message)
{
    (void)level;
    (void)event;
    (void)message;
}

static weir_status fill_error(weir_error *err, weir_status status, const char *message)
{
    return weir_error_set(err, status, "%s", message);
}

static const weir_backend_host host = {
    .struct_size = sizeof(weir_backend_host),
    .log = ignore_log,
    .error = fill_error,
    .log_level = weir_log_get_level,
};

static weir_backend_open_args args_of(const char *path, const weir_option_value *values,
                                      rdb_mode mode)
{
    return (weir_backend_open_args){
        .struct_size = sizeof(weir_backend_open_args),
        .host = &host,
        .location = path,
        .label = "backend=rocksdb store=test",
        .options = values,
        .create = mode == RDB_CREATE,
        .read_only = mode == RDB_READ_ONLY,
    };
}

weir_status rdb_open(rdb *self, const char *path, const weir_option *options, rdb_mode mode)
{
    const weir_backend *backend = weir__backend_rocksdb();
    weir_error_init(&self->err);
    self->db = NULL;
    assert_in_range(weir__option_count(backend->options), 1, RDB_MAX_OPTIONS);
    weir_status status =
        weir__option_parse("backend rocksdb", backend->options, options, self->values, &self->err);
    if (status != WEIR_OK)
        return status;
    weir_backend_open_args args = args_of(path, self->values, mode);
    status = backend->open(&args, &self->db, &self->err);
    assert_int_equal(status == WEIR_OK, self->db != NULL);
    if (status != WEIR_OK) {
        assert_int_equal(self->err.status, status);
        assert_non_null(strstr(self->err.message, "backend=rocksdb store=test"));
    }
    return status;
}

weir_status rdb_close(rdb *self)
{
    weir_status status = WEIR_OK;
    if (self->db)
        status = weir__backend_rocksdb()->close(self->db, &self->err);
    self->db = NULL;
    return status;
}

weir_status rdb_destroy(const char *path, const weir_option *options, weir_error *err)
{
    weir_option_value values[RDB_MAX_OPTIONS];
    const weir_backend *backend = weir__backend_rocksdb();
    weir_status status =
        weir__option_parse("backend rocksdb", backend->options, options, values, err);
    if (status != WEIR_OK)
        return status;
    weir_backend_open_args args = args_of(path, values, RDB_EXISTING);
    return backend->destroy(&args, err);
}

weir_backend_cf *rdb_cf(rdb *self, const char *name)
{
    weir_backend_cf *cf = NULL;
    assert_int_equal(weir__backend_rocksdb()->cf_open(self->db, name, true, &cf, &self->err),
                     WEIR_OK);
    assert_non_null(cf);
    return cf;
}

void rdb_put(rdb *self, weir_backend_cf *cf, const char *key, const char *value)
{
    weir_backend_op op = {
        .kind = WEIR_OP_PUT, .cf = cf, .key = weir_slice_str(key), .value = weir_slice_str(value)};
    assert_int_equal(weir__backend_rocksdb()->write(self->db, &op, 1, 0, &self->err), WEIR_OK);
}

char *rdb_get(rdb *self, weir_backend_cf *cf, const char *key)
{
    const weir_backend *backend = weir__backend_rocksdb();
    weir_backend_value value;
    weir_status status = backend->get(self->db, cf, NULL, weir_slice_str(key), &value, &self->err);
    if (status == WEIR_NOT_FOUND)
        return NULL;
    assert_int_equal(status, WEIR_OK);
    char *text = strndup(value.data, value.size);
    backend->value_release(self->db, &value);
    return text;
}

void rdb_assert_value(rdb *self, weir_backend_cf *cf, const char *key, const char *value)
{
    char *found = rdb_get(self, cf, key);
    assert_non_null(found);
    assert_string_equal(found, value);
    free(found);
}

void rdb_assert_absent(rdb *self, weir_backend_cf *cf, const char *key)
{
    assert_null(rdb_get(self, cf, key));
}
