/*
 * The layout of what crosses the border to a plugin, in numbers for 64-bit machines: a change
 * of it breaks every plugin that exists, and must not slip in. Appending a method changes
 * only the size of weir_backend, and is then noted here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <weir/backend.h>

typedef struct place {
    const char *name;
    size_t is;
    size_t must_be;
} place;

#define AT(type, member, offset)                                                                   \
    {                                                                                              \
#type "." #member, offsetof(type, member), offset                                          \
    }
#define SIZE(type, size)                                                                           \
    {                                                                                              \
        "sizeof " #type, sizeof(type), size                                                        \
    }

static const place places[] = {
    SIZE(weir_slice, 16),
    AT(weir_slice, data, 0),
    AT(weir_slice, size, 8),

    SIZE(weir_error, 1028),
    AT(weir_error, status, 0),
    AT(weir_error, message, 4),

    SIZE(weir_option_spec, 56),
    AT(weir_option_spec, name, 0),
    AT(weir_option_spec, type, 8),
    AT(weir_option_spec, default_value, 16),
    AT(weir_option_spec, choices, 24),
    AT(weir_option_spec, minimum, 32),
    AT(weir_option_spec, maximum, 40),
    AT(weir_option_spec, help, 48),

    SIZE(weir_option_value, 32),
    AT(weir_option_value, is_set, 0),
    AT(weir_option_value, boolean, 1),
    AT(weir_option_value, integer, 8),
    AT(weir_option_value, number, 16),
    AT(weir_option_value, string, 24),

    SIZE(weir_backend_host, 32),
    AT(weir_backend_host, struct_size, 0),
    AT(weir_backend_host, log, 8),
    AT(weir_backend_host, error, 16),
    AT(weir_backend_host, log_level, 24),

    SIZE(weir_backend_open_args, 64),
    AT(weir_backend_open_args, struct_size, 0),
    AT(weir_backend_open_args, host, 8),
    AT(weir_backend_open_args, location, 16),
    AT(weir_backend_open_args, label, 24),
    AT(weir_backend_open_args, options, 32),
    AT(weir_backend_open_args, create, 40),
    AT(weir_backend_open_args, read_only, 41),
    AT(weir_backend_open_args, inner, 48),
    AT(weir_backend_open_args, inner_args, 56),

    SIZE(weir_backend_value, 24),
    AT(weir_backend_value, data, 0),
    AT(weir_backend_value, size, 8),
    AT(weir_backend_value, owner, 16),

    SIZE(weir_backend_op, 48),
    AT(weir_backend_op, kind, 0),
    AT(weir_backend_op, reserved, 4),
    AT(weir_backend_op, cf, 8),
    AT(weir_backend_op, key, 16),
    AT(weir_backend_op, value, 32),

    SIZE(weir_backend_iter_args, 56),
    AT(weir_backend_iter_args, struct_size, 0),
    AT(weir_backend_iter_args, lower, 8),
    AT(weir_backend_iter_args, upper, 24),
    AT(weir_backend_iter_args, has_lower, 40),
    AT(weir_backend_iter_args, has_upper, 41),
    AT(weir_backend_iter_args, reverse, 42),
    AT(weir_backend_iter_args, snapshot, 48),

    AT(weir_backend, struct_size, 0),
    AT(weir_backend, abi_version, 8),
    AT(weir_backend, reserved, 12),
    AT(weir_backend, name, 16),
    AT(weir_backend, version, 24),
    AT(weir_backend, capabilities, 32),
    AT(weir_backend, options, 40),
    AT(weir_backend, open, 48),
    AT(weir_backend, close, 56),
    AT(weir_backend, destroy, 64),
    AT(weir_backend, cf_open, 72),
    AT(weir_backend, cf_drop, 80),
    AT(weir_backend, cf_list, 88),
    AT(weir_backend, get, 96),
    AT(weir_backend, multi_get, 104),
    AT(weir_backend, value_release, 112),
    AT(weir_backend, write, 120),
    AT(weir_backend, iter_open, 128),
    AT(weir_backend, iter_next, 136),
    AT(weir_backend, iter_seek, 144),
    AT(weir_backend, iter_close, 152),
    AT(weir_backend, flush, 160),
    AT(weir_backend, snapshot_open, 168),
    AT(weir_backend, snapshot_close, 176),
    AT(weir_backend, checkpoint, 184),
    AT(weir_backend, compact, 192),
    AT(weir_backend, stats, 200),
    AT(weir_backend, control, 208),
    AT(weir_backend, list, 216),
    SIZE(weir_backend, 224),
};

static void test_offsets_and_sizes_are_those_that_plugins_were_built_with(void **state)
{
    (void)state;
    assert_int_equal(sizeof(void *), 8);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (places[i].is != places[i].must_be)
            fail_msg("%s is %zu and must be %zu", places[i].name, places[i].is, places[i].must_be);
}

static void test_constants_are_those_that_plugins_were_built_with(void **state)
{
    (void)state;
    assert_int_equal(WEIR_BACKEND_ABI_VERSION, 1);
    assert_int_equal(WEIR_CAP_COLUMN_FAMILIES, 1);
    assert_int_equal(WEIR_CAP_ATOMIC_BATCH, 2);
    assert_int_equal(WEIR_CAP_BOUNDED_ITERATION, 4);
    assert_int_equal(WEIR_CAP_REVERSE_ITERATION, 8);
    assert_int_equal(WEIR_CAP_SNAPSHOTS, 16);
    assert_int_equal(WEIR_CAP_DURABLE_ON_WRITE, 32);
    assert_int_equal(WEIR_CAP_OBJECT_STORAGE, 64);
    assert_int_equal(WEIR_CAP_CONCURRENT_READERS, 128);
    assert_int_equal(WEIR_CAP_PERSISTENT, 256);
    assert_int_equal(WEIR_CAP_DECORATOR, 512);
    assert_int_equal(WEIR_OPTION_BOOL, 0);
    assert_int_equal(WEIR_OPTION_INT, 1);
    assert_int_equal(WEIR_OPTION_SIZE, 2);
    assert_int_equal(WEIR_OPTION_DOUBLE, 3);
    assert_int_equal(WEIR_OPTION_STRING, 4);
    assert_int_equal(WEIR_OPTION_CHOICE, 5);
    assert_int_equal(WEIR_OP_PUT, 1);
    assert_int_equal(WEIR_OP_DELETE, 2);
    assert_int_equal(WEIR_WRITE_SYNC, 1);
    assert_string_equal(WEIR_BACKEND_ENTRY, "weir_backend_get");
    assert_string_equal(WEIR_BACKEND_DEFAULT_CF, "default");
}

static void test_status_numbers_never_change(void **state)
{
    (void)state;
    static const struct {
        weir_status is;
        int must_be;
    } numbers[] = {
        {WEIR_OK, 0},           {WEIR_NOT_FOUND, -1},      {WEIR_INVALID, -2},
        {WEIR_LOCKED, -3},      {WEIR_CORRUPTED, -4},      {WEIR_FENCED, -5},
        {WEIR_IO, -6},          {WEIR_NO_SPACE, -7},       {WEIR_BUSY, -8},
        {WEIR_UNSUPPORTED, -9}, {WEIR_CLOSED, -10},        {WEIR_NO_MEMORY, -11},
        {WEIR_PERMISSION, -12}, {WEIR_TIMEOUT, -13},       {WEIR_ABORTED, -14},
        {WEIR_TXN_FAILED, -15}, {WEIR_OFFSET, -16},        {WEIR_WRONG_BACKEND, -17},
        {WEIR_VERSION, -18},    {WEIR_SERIALIZATION, -19}, {WEIR_TOO_LARGE, -20},
        {WEIR_KAFKA, -21},      {WEIR_TOPIC, -22},         {WEIR_CALLBACK, -23},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        assert_int_equal(numbers[i].is, numbers[i].must_be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets_and_sizes_are_those_that_plugins_were_built_with),
        cmocka_unit_test(test_constants_are_those_that_plugins_were_built_with),
        cmocka_unit_test(test_status_numbers_never_change),
    };
    return cmocka_run_group_tests_name("backend layout", tests, NULL, NULL);
}
