/*
 * Status codes: name, text and class of each, from the one table in weir/base.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <weir/base.h>

const char *weir_status_name(weir_status status)
{
    switch (status) {
#define STATUS_NAME(name, number, class_, text)                                                    \
    case WEIR_##name:                                                                              \
        return #name;
        WEIR_STATUS_TABLE(STATUS_NAME)
#undef STATUS_NAME
    }
    return "UNKNOWN";
}

const char *weir_status_text(weir_status status)
{
    switch (status) {
#define STATUS_TEXT(name, number, class_, text)                                                    \
    case WEIR_##name:                                                                              \
        return text;
        WEIR_STATUS_TABLE(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}

weir_status_class weir_status_class_of(weir_status status)
{
    switch (status) {
#define STATUS_CLASS(name, number, class_, text)                                                   \
    case WEIR_##name:                                                                              \
        return WEIR_CLASS_##class_;
        WEIR_STATUS_TABLE(STATUS_CLASS)
#undef STATUS_CLASS
    }
    return WEIR_CLASS_FATAL;
}
