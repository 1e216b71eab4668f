/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An echo server in the chimney: every connection goes into the offload target as soon as it is
 * accepted; what comes is sent back from the memory that it came into, without a copy.
 *
 *     echo INTERFACE ADDRESS PORT
 *
 * One line on standard output when it listens, one for each connection that ends. SIGTERM ends it.
 */
#include <arpa/inet.h>
#include <chimney/chimney.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS_MAX = 64, BUFFER_BYTES = 64 << 10, EVENTS = 64 };

struct client {
	struct chimney_conn *conn; /* NULL: free */
	size_t offset;             /* of its buffer in the region */
	unsigned long long echoed;
	unsigned int offloads;
};

static struct chimney *chimney;
static struct chimney_region *region;
static struct client clients[CLIENTS_MAX];
static volatile sig_atomic_t stop;

static void stopped(int signal)
{
	(void)signal;
	stop = 1;
}

static int listen_at(const char *address, const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (inet_pton(AF_INET, address, &at.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 64) < 0) {
		perror(address);
		exit(1);
	}
	return fd;
}

static void receive(struct client *client)
{
	if (chimney_receive(client->conn, region, client->offset, BUFFER_BYTES, false, client) < 0)
		chimney_conn_close(client->conn);
}

static void accepted(struct chimney_conn *conn)
{
	struct client *client = clients;

	while (client < clients + CLIENTS_MAX && client->conn)
		client++;
	if (client == clients + CLIENTS_MAX) { /* no buffer left */
		chimney_conn_set_user(conn, NULL);
		chimney_conn_close(conn);
		return;
	}
	client->conn = conn;
	client->echoed = client->offloads = 0;
	chimney_conn_set_user(conn, client);
}

/* The buffer is either being filled or being sent; bytes 0: there is nothing more to come. */
static void told(const struct chimney_event *event)
{
	struct client *client = chimney_conn_user(event->conn);
	struct chimney_conn_info info;

	switch (event->kind) {
	case CHIMNEY_ACCEPTED:
		accepted(event->conn);
		break;
	case CHIMNEY_RECEIVED:
		if (event->bytes &&
		    chimney_send(event->conn, region, client->offset, event->bytes, client) < 0)
			chimney_conn_close(event->conn);
		break;
	case CHIMNEY_SENT:
		client->echoed += event->bytes;
		receive(client);
		break;
	case CHIMNEY_MOVED:
		chimney_conn_info(event->conn, &info);
		if (event->err)
			fprintf(stderr, "it stays in the kernel: %s\n", info.why);
		if (!client)
			break;
		client->offloads = info.offloads;
		receive(client); /* wherever it is now */
		break;
	case CHIMNEY_ENDED:
		chimney_conn_close(event->conn);
		break;
	case CHIMNEY_CLOSED:
		if (!client)
			break;
		printf("echoed %llu bytes, offloads %u\n", client->echoed, client->offloads);
		fflush(stdout);
		client->conn = NULL;
		break;
	}
}

int main(int argc, char **argv)
{
	struct chimney_config config = { .interface = argc > 1 ? argv[1] : "" };
	struct chimney_event events[EVENTS];
	uint8_t *memory = malloc((size_t)CLIENTS_MAX * BUFFER_BYTES);
	char why[256];
	int listener, n = 0;

	if (argc != 4 || !memory) {
		fprintf(stderr, "usage: echo INTERFACE ADDRESS PORT\n");
		return 2;
	}
	if (chimney_open(&config, &chimney, why, sizeof(why)) < 0) {
		fprintf(stderr, "echo: %s\n", why);
		return 1;
	}
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		clients[i].offset = i * BUFFER_BYTES;
	signal(SIGTERM, stopped);
	listener = listen_at(argv[2], argv[3]);
	if (chimney_region_add(chimney, memory, (size_t)CLIENTS_MAX * BUFFER_BYTES, &region) < 0 ||
	    chimney_listen(chimney, listener, NULL, true) < 0)
		return 1;
	printf("listening\n");
	fflush(stdout);
	while (!stop && n >= 0) {
		n = chimney_poll(chimney, events, EVENTS, 100000); /* looks at stop */
		for (int i = 0; i < n; i++)
			told(&events[i]);
	}
	chimney_close(chimney);
	close(listener);
	return 0;
}
