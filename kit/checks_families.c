/*
 * Checks of column families and snapshots. See check.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "check.h"

/* ------------------------------------------------------------- column families */

static bool a_batch_reaches_all_its_families(kit_subject *c)
{
    weir_backend_cf *first = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_cf *second = family(c, "second");
    weir_backend_cf *third = family(c, "__third__");
    weir_backend_op ops[] = {
        put_op(first, str("k"), str("1")),
        put_op(second, str("k"), str("2")),
        put_op(third, str("k"), str("3")),
        delete_op(second, str("gone")),
    };
    EXPECT(WEIR_OK, put(c, second, "gone", "x"));
    EXPECT(WEIR_OK, write_ops(c, ops, 4));
    MUST(reads(c, first, NULL, NULL, false, NULL, "k=1 "));
    MUST(reads(c, second, NULL, NULL, false, NULL, "k=2 "));
    MUST(reads(c, third, NULL, NULL, false, NULL, "k=3 "));
    return true;
}

static weir_status count_family(const char *name, void *arg)
{
    size_t *counts = arg;
    static const char *const names[] = {"default", "one", "two"};
    for (size_t i = 0; i < 3; i++)
        counts[i] += strcmp(name, names[i]) == 0 ? 1 : 0;
    counts[3]++;
    return WEIR_OK;
}

static weir_status stop_at_once(const char *name, void *arg)
{
    (void)name;
    ++*(int *)arg;
    return WEIR_ABORTED;
}

static bool families_are_made_found_and_listed(kit_subject *c)
{
    weir_backend_cf *cf;
    weir_backend_cf *again;
    size_t counts[4] = {0};
    int visits = 0;
    EXPECT(WEIR_NOT_FOUND, c->backend->cf_open(c->db, "one", false, &cf, &c->err));
    CHECK(cf == NULL);
    EXPECT(WEIR_OK, c->backend->cf_open(c->db, "one", true, &cf, &c->err));
    EXPECT(WEIR_OK, c->backend->cf_open(c->db, "one", true, &again, &c->err));
    CHECK(cf == again);
    EXPECT(WEIR_OK, c->backend->cf_open(c->db, "one", false, &again, &c->err));
    CHECK(cf == again);
    EXPECT(WEIR_OK, c->backend->cf_open(c->db, "two", true, &again, &c->err));
    CHECK(cf != again);
    EXPECT(WEIR_OK, c->backend->cf_open(c->db, WEIR_BACKEND_DEFAULT_CF, false, &again, &c->err));
    EXPECT(WEIR_OK, c->backend->cf_list(c->db, count_family, counts, &c->err));
    CHECK(counts[0] == 1 && counts[1] == 1 && counts[2] == 1 && counts[3] == 3);
    EXPECT(WEIR_ABORTED, c->backend->cf_list(c->db, stop_at_once, &visits, &c->err));
    CHECK(visits == 1);
    return true;
}

static bool families_keep_their_keys_apart(kit_subject *c)
{
    enum { COUNT = 4 };
    const char *names[COUNT] = {WEIR_BACKEND_DEFAULT_CF, "one", "two", "three"};
    weir_backend_cf *cfs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        cfs[i] = family(c, names[i]);
        CHECK(cfs[i] != NULL);
    }
    static const weir_slice last = {"\xFF\xFF\xFF\xFF", 4};
    for (int i = 0; i < COUNT; i++) {
        weir_backend_op ops[] = {
            put_op(cfs[i], str(""), str(names[i])),
            put_op(cfs[i], str("k"), str(names[i])),
            put_op(cfs[i], last, str(names[i])),
        };
        EXPECT(WEIR_OK, write_ops(c, ops, 3));
    }
    EXPECT(WEIR_OK, erase(c, cfs[1], "k"));
    MUST(holds(c, cfs[1], "k", NULL));
    for (int i = 0; i < COUNT; i++) {
        weir_slice name = str(names[i]);
        for (int reverse = 0; reverse < directions(c); reverse++) {
            weir_slice key;
            weir_slice value;
            size_t items = 0;
            weir_backend_iter *iter = iterate(c, cfs[i], NULL, NULL, reverse != 0, NULL);
            CHECK(iter != NULL);
            while (c->backend->iter_next(iter, &key, &value, NULL) == WEIR_OK) {
                CHECK(weir_slice_equal(value, name));
                items++;
            }
            c->backend->iter_close(iter);
            CHECK(items == (i == 1 ? 2u : 3u));
        }
    }
    return true;
}

static bool a_dropped_family_is_gone_with_its_items(kit_subject *c)
{
    weir_backend_cf *cf = family(c, "one");
    weir_backend_cf *other = family(c, "two");
    MUST(fill_big(c, cf));
    MUST(fill_five(c, other));
    EXPECT(WEIR_OK, c->backend->cf_drop(c->db, "one", &c->err));
    EXPECT(WEIR_NOT_FOUND, c->backend->cf_drop(c->db, "one", &c->err));
    EXPECT(WEIR_INVALID, c->backend->cf_drop(c->db, WEIR_BACKEND_DEFAULT_CF, &c->err));
    EXPECT(WEIR_NOT_FOUND, c->backend->cf_open(c->db, "one", false, &cf, &c->err));
    size_t counts[4] = {0};
    EXPECT(WEIR_OK, c->backend->cf_list(c->db, count_family, counts, &c->err));
    CHECK(counts[1] == 0 && counts[2] == 1);
    cf = family(c, "one");
    CHECK(cf != NULL);
    MUST(reads(c, cf, NULL, NULL, false, NULL, ""));
    MUST(reads(c, other, NULL, NULL, false, NULL, "a=1 b=2 c=3 d=4 e=5 "));
    return true;
}

static bool families_are_kept_over_reopening(kit_subject *c)
{
    weir_backend_cf *one = family(c, "one");
    EXPECT(WEIR_OK, put(c, one, "k", "kept"));
    EXPECT(WEIR_OK, put(c, family(c, "two"), "k", "dropped"));
    EXPECT(WEIR_OK, c->backend->cf_drop(c->db, "two", &c->err));
    for (int round = 0; round < 2; round++) {
        EXPECT(WEIR_OK, reopen(c));
        EXPECT(WEIR_OK, c->backend->cf_open(c->db, "one", false, &one, &c->err));
        MUST(reads(c, one, NULL, NULL, false, NULL, "k=kept "));
        EXPECT(WEIR_NOT_FOUND, c->backend->cf_open(c->db, "two", false, &one, &c->err));
    }
    MUST(reads(c, family(c, "two"), NULL, NULL, false, NULL, ""));
    return true;
}

/* Without the capability: one family, and a plain answer to whoever asks for another. */
static bool without_families_there_is_default_alone(kit_subject *c)
{
    size_t counts[4] = {0};
    weir_backend_cf *cf = NULL;
    if (kit_has(c, WEIR_CAP_COLUMN_FAMILIES))
        return kit_skip(c, "column families are claimed");
    EXPECT(WEIR_OK, c->backend->cf_open(c->db, WEIR_BACKEND_DEFAULT_CF, true, &cf, &c->err));
    EXPECT(WEIR_UNSUPPORTED, c->backend->cf_open(c->db, "one", true, &cf, &c->err));
    CHECK(cf == NULL);
    EXPECT(WEIR_OK, c->backend->cf_list(c->db, count_family, counts, &c->err));
    CHECK(counts[0] == 1 && counts[3] == 1);
    return true;
}

/* ------------------------------------------------------------------- snapshots */

static bool a_snapshot_keeps_what_was_there(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_snapshot *snapshots[3];
    char value[8];
    for (int i = 0; i < 3; i++) {
        snprintf(value, sizeof value, "%d", i);
        EXPECT(WEIR_OK, put(c, cf, "k", value));
        EXPECT(WEIR_OK, put(c, cf, value, "x"));
        EXPECT(WEIR_OK, c->backend->snapshot_open(c->db, &snapshots[i], &c->err));
    }
    EXPECT(WEIR_OK, erase(c, cf, "k"));
    EXPECT(WEIR_OK, erase(c, cf, "1"));
    /* The middle one goes first: what it kept must not go with it, nor stay for good. */
    c->backend->snapshot_close(c->db, snapshots[1]);
    const char *expected[] = {"0=x k=0 ", NULL, "0=x 1=x 2=x k=2 "};
    const char *reversed[] = {"k=0 0=x ", NULL, "k=2 2=x 1=x 0=x "};
    for (int i = 0; i < 3; i += 2) {
        weir_slice kept = weir_slice_of(i == 0 ? "0" : "2", 1);
        MUST(holds_bytes(c, cf, snapshots[i], str("k"), &kept));
        MUST(reads(c, cf, NULL, NULL, false, snapshots[i], expected[i]));
        MUST(directions(c) == 1 || reads(c, cf, NULL, NULL, true, snapshots[i], reversed[i]));
    }
    weir_backend_iter *iter = iterate(c, cf, NULL, NULL, false, snapshots[0]);
    CHECK(iter != NULL);
    EXPECT(WEIR_OK, put(c, cf, "0", "changed"));
    char text[64] = "";
    read_items(c, iter, 64, text, sizeof text);
    if (strcmp(text, "0=x k=0 ") != 0)
        return kit_fail(c, "an iterator on a snapshot: expected '0=x k=0 ', seen '%s'", text);
    c->backend->iter_close(iter);
    c->backend->snapshot_close(c->db, snapshots[0]);
    c->backend->snapshot_close(c->db, snapshots[2]);
    MUST(reads(c, cf, NULL, NULL, false, NULL, "0=changed 2=x "));
    return true;
}

static bool a_snapshot_is_one_moment_of_all_families(kit_subject *c)
{
    weir_backend_cf *one = family(c, "one");
    weir_backend_cf *two = family(c, "two");
    weir_backend_snapshot *snapshot;
    EXPECT(WEIR_OK, put(c, one, "k", "before"));
    EXPECT(WEIR_OK, put(c, two, "k", "before"));
    EXPECT(WEIR_OK, c->backend->snapshot_open(c->db, &snapshot, &c->err));
    weir_backend_op ops[] = {put_op(one, str("k"), str("after")),
                             put_op(two, str("k"), str("after")),
                             put_op(two, str("l"), str("after"))};
    EXPECT(WEIR_OK, write_ops(c, ops, 3));
    MUST(reads(c, one, NULL, NULL, false, snapshot, "k=before "));
    MUST(reads(c, two, NULL, NULL, false, snapshot, "k=before "));
    MUST(reads(c, two, NULL, NULL, false, NULL, "k=after l=after "));
    c->backend->snapshot_close(c->db, snapshot);
    return true;
}

static bool a_snapshot_outlives_much_writing(kit_subject *c)
{
    weir_backend_cf *cf = family(c, WEIR_BACKEND_DEFAULT_CF);
    weir_backend_snapshot *snapshot;
    MUST(fill_five(c, cf));
    EXPECT(WEIR_OK, c->backend->snapshot_open(c->db, &snapshot, &c->err));
    MUST(fill_big(c, cf));
    EXPECT(WEIR_OK, erase(c, cf, "c"));
    EXPECT(WEIR_OK, c->backend->flush(c->db, &c->err));
    MUST(reads(c, cf, NULL, NULL, false, snapshot, "a=1 b=2 c=3 d=4 e=5 "));
    c->backend->snapshot_close(c->db, snapshot);
    MUST(holds(c, cf, "c", NULL));
    return true;
}

const kit_check kit_family_checks[] = {
    CASE(families_are_made_found_and_listed, KIT_FAMILIES, WEIR_CAP_COLUMN_FAMILIES),
    CASE(families_keep_their_keys_apart, KIT_FAMILIES, WEIR_CAP_COLUMN_FAMILIES),
    CASE(a_batch_reaches_all_its_families, KIT_FAMILIES, WEIR_CAP_COLUMN_FAMILIES),
    CASE(a_dropped_family_is_gone_with_its_items, KIT_FAMILIES, WEIR_CAP_COLUMN_FAMILIES),
    CASE(families_are_kept_over_reopening, KIT_FAMILIES,
         WEIR_CAP_COLUMN_FAMILIES | WEIR_CAP_PERSISTENT),
    CASE(without_families_there_is_default_alone, KIT_FAMILIES, 0),
    CASE(a_snapshot_keeps_what_was_there, KIT_SNAPSHOTS, WEIR_CAP_SNAPSHOTS),
    CASE(a_snapshot_is_one_moment_of_all_families, KIT_SNAPSHOTS,
         WEIR_CAP_SNAPSHOTS | WEIR_CAP_COLUMN_FAMILIES),
    CASE(a_snapshot_outlives_much_writing, KIT_SNAPSHOTS, WEIR_CAP_SNAPSHOTS),
    {NULL, KIT_FAMILIES, 0, NULL, false},
};
