/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests: their queues, and how the kernel's socket serves them. */
#include <errno.h>
#include <ndis/ndis.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "inproc/inproc.h"

void inproc_queue_init(struct inproc_queue *queue)
{
	queue->first = NULL;
	queue->tail = &queue->first;
}

static struct inproc_io *io_new(struct chimney *chimney)
{
	struct inproc_io *io = chimney->spare;

	if (!io)
		return malloc(sizeof(*io));
	chimney->spare = io->next;
	return io;
}

void inproc_io_free(struct chimney *chimney, struct inproc_io *io)
{
	io->next = chimney->spare;
	chimney->spare = io;
}

int inproc_queue_add(struct inproc_queue *queue, struct chimney_conn *conn,
		     struct chimney_region *region, const struct inproc_io *template)
{
	struct inproc_io *io = io_new(conn->chimney);

	if (!io)
		return -ENOMEM;
	*io = *template;
	io->region = region;
	io->event.told.conn = conn;
	io->next = NULL;
	region->users++;
	*queue->tail = io;
	queue->tail = &io->next;
	return 0;
}

static struct inproc_io *take_first(struct inproc_queue *queue)
{
	struct inproc_io *io = queue->first;

	queue->first = io->next;
	if (!queue->first)
		queue->tail = &queue->first;
	io->region->users--;
	return io;
}

void inproc_queue_finish(struct inproc_queue *queue, struct chimney *chimney, int err)
{
	struct inproc_io *io = take_first(queue);

	io->event.told.bytes = io->done;
	io->event.told.err = err;
	inproc_tell(chimney, &io->event);
}

void inproc_queue_cancel(struct inproc_queue *queue, struct chimney *chimney, int err)
{
	while (queue->first && !queue->first->given)
		inproc_queue_finish(queue, chimney, err);
}

void inproc_queue_drop(struct inproc_queue *queue, struct chimney *chimney)
{
	while (queue->first)
		inproc_io_free(chimney, take_first(queue));
}

/* ---- the kernel's socket ------------------------------------------------------------------ */

static uint8_t *io_bytes(const struct inproc_io *io)
{
	return (uint8_t *)MmGetSystemAddressForMdlSafe((MDL *)io->region->mdl, NormalPagePriority) +
	       io->offset + io->done;
}

int inproc_native_send(struct chimney_conn *conn)
{
	struct inproc_io *io;

	while ((io = conn->tx.first)) {
		ssize_t n = send(conn->fd, io_bytes(io), io->bytes - io->done,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == ENOBUFS ? 0 : -errno;
		io->done += (size_t)n;
		if (io->done < io->bytes)
			return 0;
		inproc_queue_finish(&conn->tx, conn->chimney, 0);
	}
	return 0;
}

int inproc_native_receive(struct chimney_conn *conn, bool *fin)
{
	struct inproc_io *io;

	while ((io = conn->rx.first)) {
		ssize_t n = recv(conn->fd, io_bytes(io), io->bytes - io->done, MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n > 0)
			io->done += (size_t)n;
		if (n == 0)
			*fin = true;
		if (io->done == io->bytes || (io->done > 0 && !io->whole) || n == 0)
			inproc_queue_finish(&conn->rx, conn->chimney, 0);
		if (n <= 0)
			return 0;
	}
	return 0;
}
