/*
 * api: the handlers of the routes, one file for each part of docs/api.md.  Each answers its call.
 */
#pragma once
#include "daemon/call.h"

void api_health(struct call *);

void api_auth_register(struct call *);
void api_auth_login(struct call *);
void api_auth_me(struct call *);
void api_auth_password(struct call *);
void api_users_list(struct call *);
void api_users_add(struct call *);
void api_users_password(struct call *);

void api_providers(struct call *);
void api_accounts_list(struct call *);
void api_accounts_add(struct call *);
void api_accounts_get(struct call *);
void api_accounts_update(struct call *);
void api_accounts_remove(struct call *);
void api_accounts_credentials(struct call *);
void api_accounts_token(struct call *);
void api_oauth_start(struct call *);
void api_oauth_callback(struct call *);

void api_accounts_test(struct call *);
void api_files_list(struct call *);
void api_files_keys(struct call *);
void api_files_get(struct call *);
void api_files_remove(struct call *);
void api_accounts_usage(struct call *);

void api_transfers_add(struct call *);
void api_transfers_list(struct call *);
void api_transfers_get(struct call *);
void api_transfers_update(struct call *);
void api_transfers_cancel(struct call *);
void api_transfers_retry(struct call *);
void api_changes_add(struct call *);
void api_overlay(struct call *);

void api_mounts_add(struct call *);
void api_mounts_list(struct call *);
void api_mounts_remove(struct call *);
void api_pending_put(struct call *);
void api_pending_commit(struct call *);
void api_pending_hold(struct call *);
void api_pending_remove(struct call *);
void api_events(struct call *);
