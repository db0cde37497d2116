/* SPDX-License-Identifier: Apache-2.0 */
/* Inside base: masking of registered secrets, for log.c. */
#ifndef SSM_BASE_LOG_MASK_H
#define SSM_BASE_LOG_MASK_H

/* Copy of LINE with each run of bytes that belongs to a secret as "***". Caller frees. */
char *log_mask(const char *line);

#endif
