/*
 * weir/weir.h: all of Weir's public interface.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <weir/app.h>
#include <weir/backend.h>
#include <weir/base.h>
#include <weir/database.h>
#include <weir/kafka.h>
#include <weir/options.h>
#include <weir/state.h>
#include <weir/stream.h>
#include <weir/timestamped.h>
#include <weir/window.h>

#endif
