/* SPDX-License-Identifier: Apache-2.0 */
/* S3, path style: HeadBucket, GetBucketEncryption and PutObject for the node; for the operator also
 * what makes buckets and reads objects.
 *
 * A bucket has a region; who signs for another one is told so, as the service does. */
#include "sdk/sandbox/s3.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/text.h"
#include "sdk/sandbox/buckets.h"
#include "sdk/sandbox/dispatch.h"

#define SCOPE_END "/s3/aws4_request"
#define HEAD_XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NAMESPACE " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define LIST_MAX 1000u
#define ANSWER_MAX ((size_t)4 << 20)
#define KEY_MAX 1024u

struct request {
	char *name, *key; /* of the bucket, of the object; key "" */
	struct bucket *bucket;
};

struct s3_operation {
	const char *name, *method;
	bool object;	   /* its path has a key */
	const char *query; /* what it begins with; NULL: any */
	bool node, bucket; /* the node may; the bucket must be there */
	void (*run)(struct exchange *ex, const struct request *r);
};

static void
answer_xml(struct exchange *ex, const struct sbuf *b)
{
	exchange_answer(ex, 200, "application/xml", sbuf_str(b), b->len);
}

/* The text of the first NAME in a request's XML, which our clients write without attributes; NULL
 * when there is none. Caller frees. */
static char *
element(const struct exchange *ex, const char *name)
{
	autofree char *open = xasprintf("<%s>", name);
	const char *start = strstr(sbuf_str(&ex->body), open);

	start = start ? start + strlen(open) : NULL;
	return start ? xstrndup(start, strcspn(start, "<")) : NULL;
}

/* ---------------------------------------------------------------- buckets */

static void
create_bucket(struct exchange *ex, const struct request *r)
{
	autofree char *region = element(ex, "LocationConstraint");

	if (!buckets_is_name(r->name))
		exchange_refuse(ex, 400, "InvalidBucketName", "'%.80s' is no bucket's name",
				r->name);
	else if (buckets_create(ex->sb->buckets, r->name, region ? region : ex->sb->set.region))
		exchange_answer(ex, 200, NULL, "", 0);
	else if (buckets_find(ex->sb->buckets, r->name))
		exchange_refuse(ex, 409, "BucketAlreadyOwnedByYou", "'%s' is there", r->name);
	else
		exchange_refuse(ex, 400, "TooManyBuckets", "at most %u", BUCKETS_MAX);
}

static void
head_bucket(struct exchange *ex, const struct request *r)
{
	exchange_add_header(ex, "x-amz-bucket-region", r->bucket->region);
	exchange_answer(ex, 200, "application/xml", "", 0);
}

static void
get_encryption(struct exchange *ex, const struct request *r)
{
	autosbuf struct sbuf b = SBUF_INIT(ANSWER_MAX);
	const struct bucket *bucket = r->bucket;

	if (!bucket->sse) {
		exchange_refuse(ex, 404, "ServerSideEncryptionConfigurationNotFoundError",
				"The server side encryption configuration was not found");
		return;
	}
	(void)sbuf_addf(&b,
			HEAD_XML
			"<ServerSideEncryptionConfiguration" NAMESPACE ">"
			"<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>%s</SSEAlgorithm>",
			bucket->sse);
	if (bucket->kms_key)
		(void)sbuf_addf(&b, "<KMSMasterKeyID>%s</KMSMasterKeyID>", bucket->kms_key);
	(void)sbuf_adds(&b,
			"</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false"
			"</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>");
	answer_xml(ex, &b);
}

static bool
is_sse(const char *text)
{
	return strcmp(text, "AES256") == 0 || strcmp(text, "aws:kms") == 0;
}

static void
put_encryption(struct exchange *ex, const struct request *r)
{
	autofree char *sse = element(ex, "SSEAlgorithm"), *key = element(ex, "KMSMasterKeyID");

	if (!sse || !is_sse(sse)) {
		exchange_refuse(ex, 400, "MalformedXML", "SSEAlgorithm is AES256 or aws:kms");
		return;
	}
	bucket_encrypt(r->bucket, sse, key);
	exchange_answer(ex, 200, NULL, "", 0);
}

static void
delete_encryption(struct exchange *ex, const struct request *r)
{
	bucket_encrypt(r->bucket, NULL, NULL);
	exchange_answer(ex, 204, NULL, "", 0);
}

/* ----------------------------------------------------------------- objects */

static void
describe(struct exchange *ex, const struct object *o)
{
	autofree char *etag = xasprintf("\"%s\"", o->etag);

	exchange_add_header(ex, "ETag", etag);
	exchange_add_header(ex, "x-amz-server-side-encryption", o->sse);
	exchange_add_header(ex, "x-amz-server-side-encryption-aws-kms-key-id", o->kms_key);
}

static void
put_object(struct exchange *ex, const struct request *r)
{
	const char *sse = exchange_header(ex, "x-amz-server-side-encryption");
	const char *key = exchange_header(ex, "x-amz-server-side-encryption-aws-kms-key-id");
	const char *acl = exchange_header(ex, "x-amz-acl");
	const char *type = exchange_header(ex, "content-type");
	struct object *o;

	if ((sse && !is_sse(sse)) || (key && (!sse || strcmp(sse, "aws:kms") != 0)) ||
	    (acl && strcmp(acl, "bucket-owner-full-control") != 0 && strcmp(acl, "private") != 0)) {
		exchange_refuse(ex, 400, "InvalidArgument", "the encryption or the ACL");
		return;
	}
	o = bucket_put(ex->sb->buckets, r->bucket, r->key, sbuf_str(&ex->body), ex->body.len);
	if (!o) {
		exchange_refuse(ex, 503, "ServiceUnavailable", "the sandbox is full");
		return;
	}
	o->type = xstrdup(type ? type : "binary/octet-stream");
	o->acl = xstrdup(acl ? acl : "private");
	o->sse = xstrdup(sse ? sse : r->bucket->sse);
	o->kms_key = xstrdup(sse ? key : r->bucket->kms_key);
	o->modified_ms = sandbox_now_ms(ex->sb);
	describe(ex, o);
	exchange_answer(ex, 200, NULL, "", 0);
}

static void
get_object(struct exchange *ex, const struct request *r)
{
	const struct object *o = map_get(r->bucket->objects, r->key);

	if (!o) {
		exchange_refuse(ex, 404, "NoSuchKey", "The specified key does not exist.");
		return;
	}
	describe(ex, o);
	exchange_answer(ex, 200, o->type, o->data, o->len);
}

/* Who may what with an object: what the node's x-amz-acl came to. */
static void
get_object_acl(struct exchange *ex, const struct request *r)
{
	const struct object *o = map_get(r->bucket->objects, r->key);
	autosbuf struct sbuf b = SBUF_INIT(ANSWER_MAX);

	if (!o) {
		exchange_refuse(ex, 404, "NoSuchKey", "The specified key does not exist.");
		return;
	}
	(void)sbuf_addf(&b,
			HEAD_XML "<AccessControlPolicy" NAMESPACE "><Owner><ID>%s</ID></Owner>"
				 "<AccessControlList>",
			ex->sb->set.role);
	if (strcmp(o->acl, "bucket-owner-full-control") == 0)
		(void)sbuf_addf(&b,
				"<Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/"
				"XMLSchema-instance\" xsi:type=\"CanonicalUser\"><ID>%s</ID>"
				"</Grantee><Permission>FULL_CONTROL</Permission></Grant>",
				ex->sb->set.account);
	(void)sbuf_adds(&b, "</AccessControlList></AccessControlPolicy>");
	answer_xml(ex, &b);
}

/* ------------------------------------------------------------------- list */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys that begin with PREFIX, in order; borrowed, the array is the caller's to free. */
static const char **
keys_of(const struct bucket *bucket, const char *prefix, size_t *ret_count)
{
	const char **keys = xcalloc(map_len(bucket->objects) + 1, sizeof(*keys)), *key;
	size_t iter = 0, n = 0;
	void *value;

	while (map_next(bucket->objects, &iter, &key, &value))
		if (text_starts(key, prefix))
			keys[n++] = key;
	qsort(keys, n, sizeof(*keys), compare_names);
	*ret_count = n;
	return keys;
}

/* Of a query, decoded; "" when it is not there. Caller frees. */
static char *
query_value(const struct exchange *ex, const char *name)
{
	size_t len = strlen(name);
	char *value = NULL;

	for (const char *p = ex->query; *p; p += strcspn(p, "&"), p += *p == '&')
		if (strncmp(p, name, len) == 0 && p[len] == '=' &&
		    text_unpercent(p + len + 1, strcspn(p + len + 1, "&"), &value) == 0)
			return value;
	return xstrdup("");
}

static void
list_objects(struct exchange *ex, const struct request *r)
{
	autosbuf struct sbuf b = SBUF_INIT(ANSWER_MAX);
	autofree char *prefix = query_value(ex, "prefix");
	size_t n = 0;
	const char **keys = keys_of(r->bucket, prefix, &n);
	size_t shown = n < LIST_MAX ? n : LIST_MAX;

	(void)sbuf_addf(&b,
			HEAD_XML "<ListBucketResult" NAMESPACE "><Name>%s</Name>"
				 "<KeyCount>%zu</KeyCount><MaxKeys>%u</MaxKeys>"
				 "<EncodingType>url</EncodingType><IsTruncated>%s</IsTruncated>",
			r->name, shown, LIST_MAX, shown < n ? "true" : "false");
	for (size_t i = 0; i < shown; i++) {
		const struct object *o = map_get(r->bucket->objects, keys[i]);
		autofree char *key = text_percent(keys[i], strlen(keys[i]), "/");
		char stamp[TEXT_STAMP_SIZE];

		text_iso8601_ms(o->modified_ms, stamp);
		(void)sbuf_addf(&b,
				"<Contents><Key>%s</Key><LastModified>%s</LastModified>"
				"<ETag>&quot;%s&quot;</ETag><Size>%zu</Size>"
				"<StorageClass>STANDARD</StorageClass></Contents>",
				key, stamp, o->etag, o->len);
	}
	free(keys);
	(void)sbuf_adds(&b, "</ListBucketResult>");
	answer_xml(ex, &b);
}

/* ------------------------------------------------------------------ routing */

static const struct s3_operation operations[] = {
	{ "HeadBucket", "HEAD", false, "", true, true, head_bucket },
	{ "CreateBucket", "PUT", false, "", false, false, create_bucket },
	{ "GetBucketEncryption", "GET", false, "encryption", true, true, get_encryption },
	{ "PutBucketEncryption", "PUT", false, "encryption", false, true, put_encryption },
	{ "DeleteBucketEncryption", "DELETE", false, "encryption", false, true, delete_encryption },
	{ "ListObjectsV2", "GET", false, "list-type=2", false, true, list_objects },
	{ "PutObject", "PUT", true, "", true, true, put_object },
	{ "GetObjectAcl", "GET", true, "acl", false, true, get_object_acl },
	{ "GetObject", "GET", true, "", false, true, get_object },
	{ "HeadObject", "HEAD", true, "", false, true, get_object },
};

static bool
is_query(const char *wanted, const char *query)
{
	size_t len = strlen(wanted);

	return *wanted ? text_starts(query, wanted) && strchr("=&", query[len]) : !*query;
}

static const struct s3_operation *
find(const struct exchange *ex)
{
	const char *slash = strchr(ex->path + 1, '/');
	bool object = slash && slash[1];

	for (size_t i = 0; i < NELEMS(operations); i++)
		if (strcmp(operations[i].method, ex->method) == 0 &&
		    operations[i].object == object && is_query(operations[i].query, ex->query))
			return &operations[i];
	return NULL;
}

bool
s3_route(struct exchange *ex)
{
	const char *authorization = exchange_header(ex, "authorization");
	const struct s3_operation *op;

	if (!authorization || !strstr(authorization, SCOPE_END ","))
		return false;
	ex->service = "s3";
	op = find(ex);
	ex->operation = xstrdup(op ? op->name : "");
	return true;
}

static bool
check_headers(struct exchange *ex)
{
	static const char *const known[] = { "x-amz-date",
					     "x-amz-security-token",
					     "x-amz-content-sha256",
					     "x-amz-acl",
					     "x-amz-server-side-encryption",
					     "x-amz-server-side-encryption-aws-kms-key-id",
					     NULL };
	const char *hash = exchange_header(ex, "x-amz-content-sha256");
	const char *stray = exchange_stray_header(ex, known);

	if (stray) {
		exchange_refuse(ex, 400, "InvalidArgument", "the header '%s'", stray);
		return false;
	}
	if (hash)
		return true;
	exchange_refuse(ex, 400, "InvalidRequest",
			"Missing required header for this request: x-amz-content-sha256");
	return false;
}

/* What the signature names stands before the end of its scope. */
static bool
check_region(struct exchange *ex, const struct bucket *b)
{
	const char *end = strstr(exchange_header(ex, "authorization"), SCOPE_END);
	size_t len = strlen(b->region);

	ex->region = b->region;
	if (memcmp(end - len - 1, "/", 1) == 0 && memcmp(end - len, b->region, len) == 0)
		return true;
	exchange_add_header(ex, "x-amz-bucket-region", b->region);
	exchange_refuse(ex, 301, "PermanentRedirect",
			"The bucket you are attempting to access must be addressed using the "
			"specified endpoint.");
	return false;
}

static bool
check_access(struct exchange *ex, const struct s3_operation *op)
{
	if (ex->side != KEY_NODE || op->node)
		return true;
	exchange_refuse(ex, 403, "AccessDenied", "Access Denied");
	return false;
}

static void
run(struct exchange *ex, const struct s3_operation *op, const struct request *r)
{
	if (r->bucket && !check_region(ex, r->bucket))
		return;
	if (!dispatch_check_signature(ex) || !check_headers(ex) || !check_access(ex, op))
		return;
	if (op->bucket && !r->bucket)
		exchange_refuse(ex, 404, "NoSuchBucket", "The specified bucket does not exist");
	else if (strlen(r->key) > KEY_MAX)
		exchange_refuse(ex, 400, "KeyTooLongError", "Your key is too long");
	else
		op->run(ex, r);
}

void
s3_request(struct exchange *ex)
{
	const struct s3_operation *op = find(ex);
	const char *path = ex->path + 1, *slash = strchrnul(path, '/');
	autofree char *name = NULL, *key = NULL;
	struct request r;

	rand_uuid4(ex->request_id);
	if (!op || text_unpercent(path, (size_t)(slash - path), &name) < 0 ||
	    text_unpercent(*slash ? slash + 1 : "", *slash ? strlen(slash + 1) : 0, &key) < 0) {
		exchange_refuse(ex, 405, "MethodNotAllowed", "%s %s?%s", ex->method, ex->path,
				ex->query);
		return;
	}
	r = (struct request){ name, key, buckets_find(ex->sb->buckets, name) };
	run(ex, op, &r);
}
