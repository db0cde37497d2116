/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin host for tests: what it does is written in the message.
 *
 * A test program is its own host: its main() calls hostpeer_main() when argv[1] is "--job". The
 * words of "script" in the payload (or in a step's inputs) are worked off in order:
 *
 *   reply[:TEXT] final[:TEXT]   a reply                     end[:N]        the end, with result N
 *   put:KEY=VALUE get:KEY       values                      job:NAME       run a step with the
 *   print:TEXT                  to stdout                                  object "then"
 *   crash exit:N hang close     ways to go wrong            cancel         wait for the cancel
 *   garbage badseq dup          ways to break the protocol  stored         wait until all is stored
 *   child                       leave a process behind      write:TEXT     to the step's stdout
 *   touch:NAME                  a file in the work folder   log:TEXT       a line for the agent
 *   burst:N                     N replies                   once:N     end:N the first time only
 *   away                        wait until there was no agent   leave:TEXT  without an agent: into
 *                               and the next one is there                   result.json, and exit
 *   noready diebefore failinit  before "ready", anywhere in the script
 *   returns v2                  call the next agent; with version 2 of the protocol
 */
#ifndef TESTS_UNIT_HOSTPEER_H
#define TESTS_UNIT_HOSTPEER_H

int hostpeer_main(void);

#endif
