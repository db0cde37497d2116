/* SPDX-License-Identifier: Apache-2.0 */
/* As much of KMS as a session needs: data keys, and what they were made for. spec 02 section 4.4.
 */
#ifndef SSM_SANDBOX_KMS_H
#define SSM_SANDBOX_KMS_H

#define KMS_DATA_KEYS_MAX 10000u /* known; the oldest is forgotten, and is no ciphertext then */

/* Of struct sandbox's data_keys. */
void kms_data_key_free(void *key);

#endif
