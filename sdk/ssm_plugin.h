/* SPDX-License-Identifier: Apache-2.0 */
/* ssm_plugin.h - the whole contract between the agent and a plugin. */
#ifndef SSM_PLUGIN_H
#define SSM_PLUGIN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------- versions */
#define SSM_ABI_MAJOR 1 /* +1: old plugins must be rebuilt            */
#define SSM_ABI_MINOR 0 /* +1: something was added at an end          */
#define SSM_ABI(major, minor) (((uint32_t)(major) << 16) | (uint32_t)(minor))
#define SSM_ABI_VERSION SSM_ABI(SSM_ABI_MAJOR, SSM_ABI_MINOR)
#ifndef SSM_PLUGIN_ABI_MIN /* oldest agent ABI this plugin copes with  */
#define SSM_PLUGIN_ABI_MIN SSM_ABI_VERSION
#endif
#define SSM_PLUGIN_MAGIC UINT32_C(0x504d5353) /* "SSMP"                */

/* ----------------------------------------------------- opaque handles */
struct ssm_api;      /* table of what the host offers, see below       */
struct ssm_step;     /* one step of a document that is being run       */
struct ssm_message;  /* one message from the service                   */
struct ssm_session;  /* one operator session                           */
struct ssm_gather;   /* one run of an inventory gatherer               */
struct ssm_service;  /* one background service                         */
struct ssm_identity; /* one question "who am I"                        */

struct ssm { /* one per plugin and process; these 2 words never change */
	const struct ssm_api *api;
	void *user; /* the plugin's own                                    */
};

/* ------------------------------------------------------------ features */
#define SSM_KIND_ACTION 1   /* document step,    "aws:runShellScript"  */
#define SSM_KIND_TOPIC 2    /* message topic,    "aws.ssm.sendCommand." */
#define SSM_KIND_SESSION 3  /* session type,     "Standard_Stream"     */
#define SSM_KIND_GATHERER 4 /* inventory type,   "AWS:Application"     */
#define SSM_KIND_SERVICE 5  /* background work,  "mgs"                 */
#define SSM_KIND_IDENTITY 6 /* identity + creds, "onprem"              */
#define SSM_KIND_VENDOR 0x8000 /* and up: private to a vendor          */

#define SSM_F_EXPERIMENTAL (1u << 0) /* off unless configured on       */
#define SSM_F_SERIAL (1u << 1)       /* one job of this name at a time */
#define SSM_F_UNPRIVILEGED (1u << 2) /* host drops root before loading */

struct ssm_feature {
	uint32_t kind;
	uint32_t flags;
	const char *name;       /* a final '*' makes it a prefix           */
	const void *ops;        /* the ops struct of its kind              */
	const char *needs;      /* "action=aws:runDocument ?service=mgs"   */
	const char *job_key;    /* topics: JSON pointer that names the job */
	const char *cancel_key; /* topics: pointer to the job to cancel    */
};

/* All handlers: 0 or more is success, -errno is failure (ssm_fail()). */
struct ssm_action_ops {
	uint32_t size, flags;
	int32_t (*check)(struct ssm *, struct ssm_step *); /* inputs only  */
	int32_t (*run)(struct ssm *, struct ssm_step *);
};
struct ssm_topic_ops {
	uint32_t size, flags;
	int32_t (*handle)(struct ssm *, struct ssm_message *);
};
struct ssm_session_ops { /* event driven; must not block               */
	uint32_t size, flags;
	int32_t (*open)(struct ssm *, struct ssm_session *);
	int32_t (*input)(struct ssm *, struct ssm_session *, uint32_t payload_type,
			 const void *data, size_t len); /* -EAGAIN: later  */
	int32_t (*resize)(struct ssm *, struct ssm_session *, uint32_t cols,
			  uint32_t rows);
	int32_t (*writable)(struct ssm *, struct ssm_session *);
	void (*close)(struct ssm *, struct ssm_session *, int32_t reason);
};
struct ssm_gatherer_ops {
	uint32_t size, flags;
	const char *schema_version; /* "1.1"                               */
	int32_t (*gather)(struct ssm *, struct ssm_gather *);
};
struct ssm_service_ops {
	uint32_t size, flags;
	int32_t (*start)(struct ssm *, struct ssm_service *);
	int32_t (*notify)(struct ssm *, struct ssm_service *, const char *event,
			  const char *json, size_t len);
	void (*stop)(struct ssm *, struct ssm_service *);
};
struct ssm_identity_ops {
	uint32_t size, flags;
	int32_t (*identify)(struct ssm *, struct ssm_identity *);
	int32_t (*credentials)(struct ssm *, struct ssm_identity *);
};

/* Rows for the features table; the ?: refuses an ops of another kind. */
#define SSM_ROW_(k, type, name, ops, key, cancel) \
	{ k, 0, name, (1 ? (ops) : (const struct type *)0), NULL, key, cancel }
#define SSM_ACTION(name, ops) \
	SSM_ROW_(SSM_KIND_ACTION, ssm_action_ops, name, ops, NULL, NULL)
#define SSM_TOPIC(name, ops, key, cancel) \
	SSM_ROW_(SSM_KIND_TOPIC, ssm_topic_ops, name, ops, key, cancel)
#define SSM_SESSION(name, ops) \
	SSM_ROW_(SSM_KIND_SESSION, ssm_session_ops, name, ops, NULL, NULL)
#define SSM_GATHERER(name, ops) \
	SSM_ROW_(SSM_KIND_GATHERER, ssm_gatherer_ops, name, ops, NULL, NULL)
#define SSM_SERVICE(name, ops) \
	SSM_ROW_(SSM_KIND_SERVICE, ssm_service_ops, name, ops, NULL, NULL)
#define SSM_IDENTITY(name, ops) \
	SSM_ROW_(SSM_KIND_IDENTITY, ssm_identity_ops, name, ops, NULL, NULL)

/* -------------------------------------------------------------- options */
#define SSM_OPT_STRING 1
#define SSM_OPT_INT 2
#define SSM_OPT_BOOL 3
#define SSM_OPT_MSEC 4  /* "30s", "5m"; seen as milliseconds           */
#define SSM_OPT_BYTES 5 /* "64K"; seen as bytes                        */
#define SSM_OPT_PATH 6  /* absolute                                    */
#define SSM_OPT_F_SECRET (1u << 0) /* never dumped or logged           */

struct ssm_option { /* checked by the host; source of conf and man text */
	uint32_t type;
	uint32_t flags;
	const char *key;
	const char *preset;
	const char *help;
};

/* ------------------------------------------------------- the descriptor */
struct ssm_plugin {
	uint32_t magic;   /* \                                             */
	uint32_t size;    /*  } first 16 bytes: the same in every major    */
	uint32_t abi;     /*  } (built with)                               */
	uint32_t abi_min; /* /  (oldest that will do)                      */
	const char *name; /* = file name without .so                       */
	const char *version;
	const char *license; /* SPDX                                       */
	const char *summary;
	uint32_t feature_size, feature_count;
	const struct ssm_feature *features;
	uint32_t option_size, option_count;
	const struct ssm_option *options;
	uint64_t flags;
	int32_t (*init)(struct ssm *); /* before the first handler         */
	void (*fini)(struct ssm *);    /* after the last one               */
};

#if defined(__GNUC__)
#define SSM_EXPORT __attribute__((visibility("default")))
#define SSM_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SSM_EXPORT
#define SSM_PRINTF(f, a)
#endif
#define SSM_SYMBOL_(id) id##_LTX_ssm_plugin
#define SSM_SYMBOL(id) SSM_SYMBOL_(id)
#define SSM_PLUGIN_HEAD \
	SSM_PLUGIN_MAGIC, (uint32_t)sizeof(struct ssm_plugin), \
		SSM_ABI_VERSION, SSM_PLUGIN_ABI_MIN
#define SSM_TABLE(a) \
	(uint32_t)sizeof((a)[0]), (uint32_t)(sizeof(a) / sizeof((a)[0])), (a)
#ifdef __cplusplus
#define SSM_PLUGIN(id) \
	extern "C" SSM_EXPORT const struct ssm_plugin SSM_SYMBOL(id)
#else
#define SSM_PLUGIN(id) \
	extern const struct ssm_plugin SSM_SYMBOL(id); \
	SSM_EXPORT const struct ssm_plugin SSM_SYMBOL(id)
#endif

/* ------------------------------------------------------------- requests */
/* Every struct that crosses the border starts with its size: set it to sizeof. Designated
 * initialisers leave what you do not name 0, which is always the default.                   */

struct ssm_watch; /* also the handle of everything that was started and not yet finished      */

#define SSM_STDOUT 1
#define SSM_STDERR 2

/* A piece of output of a spawned program; STREAM is SSM_STDOUT or SSM_STDERR. -EAGAIN (where
 * there is an event loop): none of it was taken, it comes again, and no other before it, after
 * watch_set() of the program with SSM_READ. Any other error: no more of it is wanted.        */
typedef int32_t ssm_output_fn(struct ssm *, int32_t stream, const void *data, size_t len,
			      void *arg);

#define SSM_SPAWN_STDIN_FD (1u << 0)  /* stdin_fd is set, else stdin_data or /dev/null        */
#define SSM_SPAWN_STDOUT_FD (1u << 1) /* stdout_fd is set: bytes go there                     */
#define SSM_SPAWN_STDERR_FD (1u << 2) /* stderr_fd is set                                     */
/* On a terminal of cols x rows; has("pty"). stdin_data is typed, then what comes from stdin_fd;
 * stderr is on the terminal too. A cancel hangs up.                                          */
#define SSM_SPAWN_PTY (1u << 3)
#define SSM_SPAWN_SPLIT (1u << 4)     /* with PTY: stderr stays a stream of its own           */
#define SSM_SPAWN_LOGIN (1u << 5)     /* argv[0] begins with '-'                              */
#define SSM_SPAWN_SEARCH (1u << 6)    /* look argv[0] up in PATH                              */
struct ssm_spawn {		      /* run a program                                        */
	uint32_t size, flags;
	const char *const *argv;
	const char *const *envp; /* NULL: a clean default                                     */
	const char *cwd;	 /* NULL: the job's work folder                               */
	const char *run_as;	 /* NULL: as the host                                         */
	int64_t timeout_ms;	 /* 0: the step's                                             */
	const void *stdin_data;
	size_t stdin_len;
	/* Without fd and without output_fn: the step's own output, else the log.              */
	int32_t stdin_fd, stdout_fd, stderr_fd;
	int32_t reserved;
	ssm_output_fn *output_fn;
	void *output_arg;
	uint64_t max_output; /* bytes kept of each stream: head and tail; 0: all              */
	int64_t grace_ms;    /* from TERM to KILL; 0: the configured one                      */
	uint32_t cols, rows;
};
#define SSM_END_EXIT 0
#define SSM_END_SIGNAL 1
#define SSM_END_TIMEOUT 2
#define SSM_END_CANCEL 3
struct ssm_end {
	uint32_t size;
	int32_t how;  /* SSM_END_*                                                            */
	int32_t code; /* exit code or signal                                                  */
	int32_t left; /* processes that it left behind                                        */
};
#define SSM_R_ANONYMOUS (1u << 0) /* not signed                                               */
struct ssm_request {		  /* a call that the core signs and sends                     */
	uint32_t size, flags;
	const char *service; /* "ssm", "kms", "logs" ...                                      */
	const char *target;  /* "AmazonSSM.PutInventory"; NULL: REST                          */
	const char *body;
	size_t body_len;
	int64_t timeout_ms;	    /* 0: 30 s                                                */
	const char *method;	    /* NULL: POST                                             */
	const char *path;	    /* NULL: "/"; may hold a query                            */
	const char *content_type;   /* NULL: JSON 1.1                                         */
	const char *const *headers; /* "Name: value", NULL-ended; NULL: none                  */
	const char *region;	    /* NULL: the node's                                       */
	const char *url;	    /* NULL: the service's endpoint and path                  */
};
#define SSM_T_UPLOAD (1u << 0) /* from fd to url, else url to fd                              */
#define SSM_T_SIGN (1u << 1)   /* SigV4 (S3), else plain http(s)                              */
struct ssm_transfer {
	uint32_t size, flags;
	const char *url; /* signed also "/BUCKET/KEY": of S3's endpoint, Calls = s3:PUT/...   */
	int32_t fd;
	int32_t reserved;
	uint64_t max_bytes; /* 0: no ceiling                                                  */
	const char *sha256; /* hex, checked by the core when set                              */
	int64_t timeout_ms;
	const char *method; /* NULL: PUT or GET                                               */
	const char *const *headers;
	uint64_t range_start, range_len; /* both 0: everything                                */
};
struct ssm_reply { /* strings: give back with api->free()                                     */
	uint32_t size;
	int32_t status; /* HTTP, 0 when none came                                             */
	char *error;	/* service's error code or NULL                                       */
	char *body;
	size_t body_len;
	char *headers; /* "name: value\n" each, or NULL                                       */
	char *url;     /* of a signed URL, or NULL                                            */
};
struct ssm_delivery { /* a message that came by a transport of the plugin's own               */
	uint32_t size, flags;
	const char *id;	   /* message id                                              */
	const char *topic;
	const char *route; /* opaque; comes back with each reply of the job                   */
	const char *json;
	size_t len;
};
struct ssm_job { /* a job of its own, in a host of its own                                    */
	uint32_t size, flags;
	uint32_t kind;
	uint32_t reserved;
	const char *name;
	const char *step; /* step name of an action, else NULL                                */
	const char *json;
	size_t len;
	int64_t timeout_ms; /* 0: none                                                        */
	int32_t stdout_fd, stderr_fd; /* -1: none                                             */
};
struct ssm_job_end { /* error, json: give back with api->free()                               */
	uint32_t size;
	int32_t result; /* SSM_SUCCESS ... of an action, else the handler's value             */
	int32_t exit_code;
	int32_t reserved;
	char *error; /* why it failed, or NULL                                                */
	char *json;  /* what it handed back, or NULL                                          */
	size_t len;
};
struct ssm_step_run { /* a step to be run by whichever plugin provides its action             */
	uint32_t size, flags;
	const char *action, *name;
	const char *inputs; /* JSON object                                                    */
	size_t inputs_len;
	int64_t timeout_ms;	      /* of what the step spawns; 0: the action's own         */
	int32_t stdout_fd, stderr_fd; /* the step's output goes there                         */
};
struct ssm_step_result { /* error: give back with api->free()                                 */
	uint32_t size;
	int32_t result; /* SSM_SUCCESS ...                                                    */
	int32_t exit_code;
	int32_t reserved;
	char *error; /* text of verror() or of a crash, or NULL                               */
};

#define SSM_READ 1u
#define SSM_WRITE 2u
/* A negative result ends the watch.                                                          */
typedef int32_t ssm_fd_fn(struct ssm *, struct ssm_watch *, int32_t fd, uint32_t events,
			  void *arg);
typedef int32_t ssm_timer_fn(struct ssm *, struct ssm_watch *, void *arg);
/* The end of what was started: RESULT as the blocking form returns it; REPLY is borrowed and
 * NULL where the blocking form has none. After a failure its body is the reason in words, or
 * NULL. The watch is gone when it is called.                                                 */
typedef void ssm_done_fn(struct ssm *, int32_t result, const struct ssm_reply *reply, void *arg);
typedef void ssm_end_fn(struct ssm *, int32_t result, const struct ssm_end *end, void *arg);

struct ssm_watch_on { /* either a descriptor or a timer                                       */
	uint32_t size, flags;
	ssm_fd_fn *fd_fn;
	ssm_timer_fn *timer_fn;
	void *arg;
	int32_t fd;
	uint32_t events; /* SSM_READ | SSM_WRITE                                              */
	int64_t after_ms, every_ms; /* every_ms 0: once                                       */
};

/* step results */
#define SSM_SUCCESS 0
#define SSM_FAILED 1
#define SSM_TIMED_OUT 2
#define SSM_CANCELLED 3
#define SSM_REBOOT 4	   /* reboot, then go on with the next step                           */
#define SSM_REBOOT_AGAIN 5 /* reboot, then run this step again                                */

/* What the provider of sessions, a topic handler, fills in and hands to session_provide(); the
 * host forwards session_*() of the types to it. From then on nothing in this process blocks,
 * msg_reply() neither; watches and the forms that end in _start work, also after the handler has
 * returned, until its final reply. The provider calls the ops of the types, which find() gives,
 * and watches cancel_fd(). struct ssm_session is its own to define.                          */
struct ssm_session_table {
	uint32_t size, flags;
	const char *(*str)(struct ssm *, struct ssm_session *, const char *pointer,
			   const char *preset);
	int32_t (*send)(struct ssm *, struct ssm_session *, uint32_t payload_type,
			const void *data, size_t len);
	int32_t (*end)(struct ssm *, struct ssm_session *, int32_t result, const char *text);
};

/* ----------------------------------------------- what the host offers */
/* Results: 0 or more is success. -ENOSYS not in this kind of process, -EACCES not permitted,
 * -EINVAL, -E2BIG over a limit, -ECANCELED, -ETIMEDOUT, -EAGAIN, -EPIPE the agent is away,
 * -EPROTO, -EIO, -EDEADLK a blocking form in a session or service. Only vlog, cancelled,
 * cancel_fd, alloc and free may be called from other threads than the handler's.             */
struct ssm_api {
	uint32_t size; /* bytes of this table that are filled                                 */
	uint32_t abi;  /* of the agent                                                        */
	const char *agent_version;

	/* 1.0, in every process */
	void (*vlog)(struct ssm *, int32_t level, const char *fmt, va_list);
	void (*verror)(struct ssm *, const char *fmt, va_list); /* last one wins, <= 4 KiB    */
	void *(*alloc)(struct ssm *, size_t len);		/* zeroed, never NULL         */
	void (*free)(struct ssm *, void *);			/* NULL is fine               */
	/* Asks for what a row alone does not tell, for no row is NULL: "spawn" "pty" "watch" (an
	 * event loop) "step_run", "agent" "call" "transfer" "range" "state" (not with --try);
	 * "action:aws:runDocument", "session:Port" ...: some plugin provides it.             */
	int32_t (*has)(struct ssm *, const char *capability);
	/* "instance-id" "region" "partition" "platform-name" "platform-version" "arch"
	 * "agent-version" "reported-version" "state-dir" "work-dir" "job-id" "document-id"
	 * "document-type" "step-name" "feature" "channel" "user-agent" "ca-file"
	 * "endpoint:<service>" "proxy:<url>"; NULL when unknown. Valid until the handler
	 * returns. "user:<name>", "" for the host's own: who that is, as JSON, see
	 * ssm-plugin-host(8), or {"error": text, "unknown": true}; waits for the name service,
	 * at most 5 s; valid until the next such question.                                   */
	const char *(*info)(struct ssm *, const char *key);
	const char *(*option)(struct ssm *, const char *key); /* of the plugin's own table    */
	int32_t (*option_int)(struct ssm *, const char *key, int64_t *ret);
	int32_t (*cancelled)(struct ssm *);
	int32_t (*cancel_fd)(struct ssm *); /* readable when cancelled                        */
	int32_t (*spawn)(struct ssm *, const struct ssm_spawn *, struct ssm_end *ret);
	int32_t (*call)(struct ssm *, const struct ssm_request *, struct ssm_reply *ret);
	/* Sign without sending: headers, or with VALID_MS > 0 a URL.                         */
	int32_t (*sign)(struct ssm *, const struct ssm_request *, int64_t valid_ms,
			struct ssm_reply *ret);
	int32_t (*transfer)(struct ssm *, const struct ssm_transfer *, struct ssm_reply *ret);
	int32_t (*state_get)(struct ssm *, const char *key, char **ret, size_t *ret_len);
	int32_t (*state_put)(struct ssm *, const char *key, const void *data,
			     size_t len); /* survives restarts, <= 64 KiB                     */
	int32_t (*find)(struct ssm *, uint32_t kind, const char *name, struct ssm **ret_owner,
			const struct ssm_feature **ret);

	/* 1.0, event loop: sessions and services */
	int32_t (*watch)(struct ssm *, const struct ssm_watch_on *, struct ssm_watch **ret);
	/* Of a program: whether its output is read (SSM_READ).                               */
	int32_t (*watch_set)(struct ssm *, struct ssm_watch *, uint32_t events);
	void (*watch_end)(struct ssm *, struct ssm_watch *); /* also cancels what was started */
	/* The asynchronous twins; RET may be NULL.                                           */
	int32_t (*spawn_start)(struct ssm *, const struct ssm_spawn *, ssm_end_fn *, void *arg,
			       struct ssm_watch **ret);
	int32_t (*call_start)(struct ssm *, const struct ssm_request *, ssm_done_fn *, void *arg,
			      struct ssm_watch **ret);
	int32_t (*sign_start)(struct ssm *, const struct ssm_request *, int64_t valid_ms,
			      ssm_done_fn *, void *arg, struct ssm_watch **ret);
	int32_t (*transfer_start)(struct ssm *, const struct ssm_transfer *, ssm_done_fn *,
				  void *arg, struct ssm_watch **ret);
	int32_t (*state_put_start)(struct ssm *, const char *key, const void *data, size_t len,
				   ssm_done_fn *, void *arg);
	int32_t (*deliver_start)(struct ssm *, const struct ssm_delivery *, ssm_done_fn *,
				 void *arg, struct ssm_watch **ret);
	int32_t (*job_launch)(struct ssm *, const struct ssm_job *, ssm_done_fn *, void *arg,
			      struct ssm_watch **ret); /* twin of job_start; body: the id     */
	int32_t (*child_signal)(struct ssm *, struct ssm_watch *, int32_t sig);
	int32_t (*child_resize)(struct ssm *, struct ssm_watch *, uint32_t cols, uint32_t rows);

	/* 1.0, steps */
	const char *(*step_str)(struct ssm *, struct ssm_step *, const char *pointer,
				const char *preset); /* valid until the step ends             */
	const char *(*step_json)(struct ssm *, struct ssm_step *, const char *pointer,
				 size_t *ret_len); /* "": all inputs                          */
	int32_t (*step_write)(struct ssm *, struct ssm_step *, int32_t stream, const void *data,
			      size_t len);
	int32_t (*step_done)(struct ssm *, struct ssm_step *, int32_t result, int32_t exit_code);
	int32_t (*progress)(struct ssm *, struct ssm_step *, const char *text);

	/* 1.0, messages and jobs */
	const char *(*msg_json)(struct ssm *, struct ssm_message *, const char *pointer,
				size_t *ret_len); /* "/MessageId", "/Payload/CommandId" ...   */
	int32_t (*msg_reply)(struct ssm *, struct ssm_message *, const char *json, size_t len,
			     int32_t final); /* a final one returns when it is durable       */
	int32_t (*step_run)(struct ssm *, struct ssm_message *, const struct ssm_step_run *,
			    struct ssm_step_result *ret);
	int32_t (*deliver)(struct ssm *, const struct ssm_delivery *);
	int32_t (*job_start)(struct ssm *, const struct ssm_job *, char **ret_id);
	int32_t (*job_wait)(struct ssm *, const char *id, struct ssm_job_end *ret);
	int32_t (*job_cancel)(struct ssm *, const char *id);

	/* 1.0, services */
	int32_t (*reply_done)(struct ssm *, const char *reply_id, int32_t status);
	int32_t (*service_state)(struct ssm *, struct ssm_service *,
				 const char *state); /* "open" "closed" "denied"              */

	/* 1.0, sessions */
	int32_t (*session_provide)(struct ssm *, const struct ssm_session_table *);
	const char *(*session_str)(struct ssm *, struct ssm_session *, const char *pointer,
				   const char *preset);
	int32_t (*session_send)(struct ssm *, struct ssm_session *, uint32_t payload_type,
				const void *data, size_t len); /* -EAGAIN: wait for writable() */
	int32_t (*session_end)(struct ssm *, struct ssm_session *, int32_t result,
			       const char *text);

	/* 1.0, gatherers and identities */
	int32_t (*gather_item)(struct ssm *, struct ssm_gather *, const char *json, size_t len);
	int32_t (*identity_set)(struct ssm *, struct ssm_identity *, const char *key,
				const char *value);
	/* next minor: below this line only */
};

#define SSM_HAS(S, member) \
	((S)->api->size >= offsetof(struct ssm_api, member) + \
				   sizeof((S)->api->member) && \
	 (S)->api->member != 0)

/* ---------------------------------------------------------- conveniences */
#define SSM_ERR 3
#define SSM_WARN 4
#define SSM_NOTICE 5
#define SSM_INFO 6
#define SSM_DEBUG 7

SSM_PRINTF(3, 4) static inline void
ssm_log(struct ssm *S, int32_t level, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	S->api->vlog(S, level, fmt, ap);
	va_end(ap);
}

/* Record why, and return the error: return ssm_fail(S, -EINVAL, "..."). */
SSM_PRINTF(3, 4) static inline int32_t
ssm_fail(struct ssm *S, int32_t err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	S->api->verror(S, fmt, ap);
	va_end(ap);
	return err < 0 ? err : -err;
}

/* Run one program with the step's output and finish the step by its exit code: the whole of a
 * simple action. ARGV is NULL-ended, argv[0] is looked up in PATH.                           */
static inline int32_t
ssm_run(struct ssm *S, struct ssm_step *step, const char *const *argv)
{
	struct ssm_spawn cmd;
	struct ssm_end end;
	int32_t r, result = SSM_FAILED;
	size_t i;

	for (i = 0; i < sizeof(cmd); i++)
		((unsigned char *)&cmd)[i] = 0;
	for (i = 0; i < sizeof(end); i++)
		((unsigned char *)&end)[i] = 0;
	cmd.size = (uint32_t)sizeof(cmd);
	cmd.flags = SSM_SPAWN_SEARCH;
	cmd.argv = argv;
	end.size = (uint32_t)sizeof(end);
	r = S->api->spawn(S, &cmd, &end);
	if (r < 0)
		return ssm_fail(S, r, "cannot run '%s'", argv[0]);
	if (end.how == SSM_END_TIMEOUT)
		result = SSM_TIMED_OUT;
	else if (end.how == SSM_END_CANCEL)
		result = SSM_CANCELLED;
	else if (end.how == SSM_END_EXIT && end.code == 0)
		result = SSM_SUCCESS;
	return S->api->step_done(S, step, result, end.how == SSM_END_EXIT ? end.code : -1);
}

/* Text to the step's standard output.                                                        */
static inline int32_t
ssm_print(struct ssm *S, struct ssm_step *step, const char *text)
{
	size_t len = 0;

	while (text[len])
		len++;
	return S->api->step_write(S, step, SSM_STDOUT, text, len);
}

#ifdef __cplusplus
}
#endif
#endif /* SSM_PLUGIN_H */
