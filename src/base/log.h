/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - messages for people, on standard error. Level by log_set_level() (CHIMNEY_LOG=debug in
 * the environment). Paths that a peer can trigger count instead of logging, or log at debug.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_TRACE };

void log_init(const char *program); /* reads CHIMNEY_LOG; program is borrowed */
void log_set_level(enum log_level level);
int log_enabled(enum log_level level);
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...)  log_msg(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...) log_msg(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_msg(LOG_LEVEL_DEBUG, __VA_ARGS__);                                     \
	} while (0)
#define log_trace(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_TRACE))                                                  \
			log_msg(LOG_LEVEL_TRACE, __VA_ARGS__);                                     \
	} while (0)

#endif
