/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a session in a bucket of S3 (spec 02 §8.2, §8.3). */
#ifndef SSM_SESSIONMANAGER_S3LOG_H
#define SSM_SESSIONMANAGER_S3LOG_H

#include "plugins/sessionManager/logsink.h"

struct s3log;

/* Never NULL. BUCKET and PREFIX are copied. */
struct s3log *s3log_new(const struct logsink *sink, const char *bucket, const char *prefix,
			void *arg);
struct s3log *s3log_free(struct s3log *l); /* NULL; NULL is fine. What runs ends without a word. */

/* Ask where the bucket is and how it encrypts. DONE: whether logs may go there; with ENCRYPTED the
 * words are those of spec 02 §8.2. */
void s3log_check(struct s3log *l, logsink_fn *done);
/* Put the file as it is now in the place of the object, in up to TRIES tries. Not twice at a time.
 */
void s3log_put(struct s3log *l, unsigned tries, logsink_fn *done);

/* PREFIX and SESSION as path.Join of Go has them: "prefix/session.log". */
const char *s3log_key(const struct s3log *l);

#endif
