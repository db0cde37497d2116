/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints of services that the configuration names. */
#ifndef SSM_AGENT_ENDPOINTS_H
#define SSM_AGENT_ENDPOINTS_H

/* Of SERVICE, "" when it names none; CONF is a struct conf. For struct aws_options. */
const char *endpoints_configured(void *conf, const char *service);

#endif
