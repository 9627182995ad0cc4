/* SPDX-License-Identifier: Apache-2.0
 *
 * Listings, page by page: of objects (ListObjectsV2) and of multipart uploads that are open. Keys are asked for
 * percent-encoded, since XML cannot hold all that a key can; servers that do not know how say so by not saying that they
 * did. A page with a key that was not asked for is refused, whoever reads it. So is one that leads back to a place that was
 * there before: nothing goes round for ever.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aws/s3_internal.h"
#include "base/memory.h"

enum { EMPTY_PAGES = 200 }; /* one after the other */

struct listing {
	struct fw_s3_task task;
	struct fw_s3_request *request;
	char *prefix, *delimiter;
	bool of_uploads;
	fw_s3_page_fn *page;
	char *token, *upload_marker; /* of the page that is asked for; NULL: the first */
	/* An earlier place. It is moved up after 1, 2, 4, ... pages: whatever goes round comes by there. */
	char *earlier_token, *earlier_marker;
	uint64_t pages, empty_pages;
	struct fw_s3_xml document;
};

static void listing_release(struct fw_s3_task *task)
{
	struct listing *listing = (struct listing *)task;

	if (listing->request)
		fw_s3_request_cancel(listing->request);
	fw_s3_xml_done(&listing->document);
	free(listing->prefix);
	free(listing->delimiter);
	free(listing->token);
	free(listing->upload_marker);
	free(listing->earlier_token);
	free(listing->earlier_marker);
}

static const struct fw_s3_request_ops listing_ops;

static void ask_page(struct listing *listing)
{
	struct fw_s3_request *request = fw_s3_request_new(listing->task.s3, "GET", NULL, &listing_ops, listing);

	if (listing->of_uploads) {
		fw_s3_request_query(request, "uploads", NULL);
		if (listing->token) {
			fw_s3_request_query(request, "key-marker", listing->token);
			fw_s3_request_query(request, "upload-id-marker", listing->upload_marker);
		}
	} else {
		fw_s3_request_query(request, "list-type", "2");
		if (listing->token)
			fw_s3_request_query(request, "continuation-token", listing->token);
	}
	fw_s3_request_query(request, "encoding-type", "url");
	if (listing->prefix)
		fw_s3_request_query(request, "prefix", listing->prefix);
	if (listing->delimiter)
		fw_s3_request_query(request, "delimiter", listing->delimiter);
	listing->request = request;
}

static int verify_keys(const struct listing *listing, struct fw_error **err)
{
	size_t length = listing->prefix ? strlen(listing->prefix) : 0;

	for (size_t i = 0; i < listing->document.items.count; i++)
		if (length > 0 && strncmp(listing->document.items.items[i].key, listing->prefix, length) != 0)
			return fw_fail(err, FW_E_IO, "the server lists keys that were not asked for");
	return FW_OK;
}

static bool is_web_page(struct fw_str answer)
{
	static const char *const starts[] = {"<!doctype html", "<html"};

	while (answer.length > 0 && strchr(" \t\r\n", *answer.text))
		answer = (struct fw_str){answer.text + 1, answer.length - 1};
	for (size_t i = 0; i < FW_COUNT_OF(starts); i++)
		if (answer.length >= strlen(starts[i]) && strncasecmp(answer.text, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

static int verify_page(struct fw_s3_request *request, struct fw_error **err)
{
	struct listing *listing = request->owner;
	const char *wanted = listing->of_uploads ? "ListMultipartUploadsResult" : "ListBucketResult";
	int rc;

	fw_s3_xml_done(&listing->document);
	rc = fw_s3_xml_read(request->answer.data, request->answer.length, &listing->document, err);
	if (rc == FW_OK && strcmp(listing->document.root, wanted) != 0)
		rc = fw_fail(err, FW_E_IO, "the server answers with a %s where a %s was asked for", listing->document.root, wanted);
	if (rc != FW_OK && is_web_page(fw_buffer_str(&request->answer)))
		fw_error_hint(err, rc, "a web site is there, no S3 server: is the endpoint %s right?", request->s3->base);
	return rc == FW_OK ? verify_keys(listing, err) : rc;
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void remember_place(struct listing *listing)
{
	free(listing->earlier_token);
	free(listing->earlier_marker);
	listing->earlier_token = fw_strdup(listing->token);
	listing->earlier_marker = fw_strdup(listing->upload_marker);
}

/* Takes the place of the next page; false when there is none, or an earlier one. */
static bool go_on(struct listing *listing)
{
	char **token = listing->of_uploads ? &listing->document.next_key : &listing->document.next_token;

	listing->pages++;
	listing->empty_pages = listing->document.items.count > 0 ? 0 : listing->empty_pages + 1;
	if ((listing->pages & (listing->pages - 1)) == 0)
		remember_place(listing);
	if (!*token || listing->empty_pages == EMPTY_PAGES ||
	    (same(*token, listing->earlier_token) && same(listing->document.next_upload_id, listing->earlier_marker)))
		return false;
	free(listing->token);
	free(listing->upload_marker);
	listing->token = FW_TAKE(*token);
	listing->upload_marker = FW_TAKE(listing->document.next_upload_id);
	return true;
}

static bool give_page(const struct listing *listing)
{
	size_t count = listing->document.items.count;
	struct fw_s3_item *items = fw_alloc_array(count + 1, sizeof *items);
	bool wanted;

	for (size_t i = 0; i < count; i++) {
		const struct fw_s3_xml_item *item = &listing->document.items.items[i];

		items[i] = (struct fw_s3_item){item->key, item->common_prefix, item->bytes, item->etag, item->upload_id};
	}
	wanted = count == 0 || listing->page(listing->task.context, items, count);
	free(items);
	return wanted;
}

static void page_done(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	struct listing *listing = request->owner;
	fw_cleanup_error struct fw_error *error = NULL;

	listing->request = NULL;
	if (rc == FW_OK && !give_page(listing)) {
		rc = fw_fail(&error, FW_E_CANCELLED, "no more is wanted");
		err = error;
	} else if (rc == FW_OK && listing->document.truncated) {
		if (go_on(listing)) {
			ask_page(listing);
			return;
		}
		rc = fw_fail(&error, FW_E_IO, "the server says that there is more, but not where%s",
		             listing->pages > 1 ? ", or leads round" : "");
		err = error;
	}
	fw_s3_task_end(&listing->task, rc, &(struct fw_s3_answer){.object_bytes = -1}, err);
}

static const struct fw_s3_request_ops listing_ops = {.verify = verify_page, .done = page_done};

static struct fw_s3_task *list(struct fw_s3 *s3, const struct fw_s3_list *asked, bool of_uploads, fw_s3_done_fn *done,
                               void *context)
{
	struct listing *listing = fw_alloc(sizeof *listing);

	fw_s3_task_begin(&listing->task, s3, of_uploads ? "list the uploads of" : "list", asked->prefix, listing_release,
	                 done, context);
	listing->prefix = fw_strdup(asked->prefix);
	listing->delimiter = fw_strdup(asked->delimiter);
	listing->page = asked->page;
	listing->of_uploads = of_uploads;
	ask_page(listing);
	return &listing->task;
}

struct fw_s3_task *fw_s3_list(struct fw_s3 *s3, const struct fw_s3_list *asked, fw_s3_done_fn *done, void *context)
{
	return list(s3, asked, false, done, context);
}

struct fw_s3_task *fw_s3_list_uploads(struct fw_s3 *s3, const char *prefix, fw_s3_page_fn *page, fw_s3_done_fn *done,
                                      void *context)
{
	return list(s3, &(struct fw_s3_list){.prefix = prefix, .page = page}, true, done, context);
}
