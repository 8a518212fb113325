/*
 * Manages an acrypto daemon with libnl, and with nothing of acrypto's own: finds the family by name, lists the devices,
 * switches the balancer, has a digest made and compares it, hears the event of the switch, and shows a refusal.
 *
 *   acrypto daemon --listen netlink,rw
 *   cc -o manage manage.c $(pkg-config --cflags --libs libnl-genl-3.0) && ./manage
 *
 * Numbers are those of netlink/spec/acrypto.yaml; NUMBERS below has the few that are used here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#define PORT 0x41000000 /* of the daemon, unless it was told another one */

/* NUMBERS: commands, then the attributes of each set. */
enum { DEVICE_GET = 10, BALANCER_SET = 21, SESSION_NEW = 31, OP_SUBMIT = 40, EVENT_SUBSCRIBE = 80, EVENT_NTF = 82 };
enum { DEVICE_NAME = 3, DEVICE_KIND = 4, DEVICE_STATE = 5, DEVICE_MAX = 30 };
enum { BALANCER_NAME = 2 };
enum { SESSION_ID = 2, SESSION_ALGORITHM = 3, SESSION_MAX = 26 };
enum { OP_SESSION = 3, OP_KIND = 4, OP_DEVICE = 8, OP_DATA = 16, OP_OUTPUT = 17, OP_MAX = 17, KIND_DIGEST = 3 };
enum { EVENT_SUBSCRIPTION = 2, EVENT_SEQ = 3, EVENT_NAME = 8, EVENT_FROM = 9, EVENT_TO = 10, EVENT_MAX = 15 };

/* What came back; the callbacks fill it in. */
struct answer {
	uint64_t session;
	unsigned char digest[64];
	int digest_len;
	char device[256];
	int switched;
	char text[512];
	int code;
	int ended;
};

static void stop(const char *what, int error)
{
	fprintf(stderr, "manage: %s: %s\n", what, nl_geterror(error));
	exit(1);
}

static int on_message(struct nl_msg *message, void *argument)
{
	struct answer *answer = argument;
	struct genlmsghdr *header = genlmsg_hdr(nlmsg_hdr(message));
	struct nlattr *attributes[DEVICE_MAX + 1];

	/* The largest set has DEVICE_MAX attributes; what a newer daemon adds is passed over. */
	genlmsg_parse(nlmsg_hdr(message), 0, attributes, DEVICE_MAX, NULL);
	switch (header->cmd) {
	case DEVICE_GET:
		printf("device %s, kind %s, state %u\n", nla_get_string(attributes[DEVICE_NAME]),
		       nla_get_string(attributes[DEVICE_KIND]), nla_get_u32(attributes[DEVICE_STATE]));
		break;
	case SESSION_NEW:
		answer->session = nla_get_u64(attributes[SESSION_ID]);
		break;
	case OP_SUBMIT:
		answer->digest_len = nla_memcpy(answer->digest, attributes[OP_OUTPUT], sizeof(answer->digest));
		if (attributes[OP_DEVICE])
			nla_strlcpy(answer->device, attributes[OP_DEVICE], sizeof(answer->device));
		break;
	case EVENT_NTF:
		if (attributes[EVENT_TO] && attributes[EVENT_FROM]) {
			printf("event %llu: %s: %s -> %s\n", (unsigned long long)nla_get_u64(attributes[EVENT_SEQ]),
			       nla_get_string(attributes[EVENT_NAME]), nla_get_string(attributes[EVENT_FROM]),
			       nla_get_string(attributes[EVENT_TO]));
			answer->switched = 1;
		}
		break;
	}
	return NL_OK;
}

/* A refusal: the errno, and what the daemon says of it (NLMSGERR_ATTR_MSG) behind the request that it echoes. */
static int on_error(struct sockaddr_nl *from, struct nlmsgerr *error, void *argument)
{
	struct answer *answer = argument;
	struct nlmsghdr *header = (struct nlmsghdr *)((char *)error - NLMSG_HDRLEN);
	int echoed = sizeof(*error);
	struct nlattr *text;

	(void)from;
	answer->code = error->error;
	answer->ended = 1;
	if (!(header->nlmsg_flags & NLM_F_CAPPED))
		echoed += error->msg.nlmsg_len - NLMSG_HDRLEN;
	if (header->nlmsg_flags & NLM_F_ACK_TLVS) {
		text = nla_find((struct nlattr *)((char *)error + NLMSG_ALIGN(echoed)),
				header->nlmsg_len - NLMSG_HDRLEN - NLMSG_ALIGN(echoed), NLMSGERR_ATTR_MSG);
		if (text)
			nla_strlcpy(answer->text, text, sizeof(answer->text));
	}
	return NL_STOP;
}

static int on_end(struct nl_msg *message, void *argument)
{
	struct answer *answer = argument;

	(void)message;
	answer->ended = 1;
	return NL_STOP;
}

/* Numbers of the daemon's events are its own: they are no answers to anything. */
static int on_sequence(struct nl_msg *message, void *argument)
{
	(void)message;
	(void)argument;
	return NL_OK;
}

static struct nl_msg *request(int family, int command, int flags)
{
	struct nl_msg *message = nlmsg_alloc();

	genlmsg_put(message, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, flags, command, 1);
	return message;
}

/* Sends a request and reads until it is acknowledged or refused; returns 0 or the negative errno. */
static int ask(struct nl_sock *socket, struct nl_cb *callbacks, struct answer *answer, struct nl_msg *message)
{
	int error;

	answer->code = 0;
	answer->text[0] = 0;
	error = nl_send_auto(socket, message);
	nlmsg_free(message);
	if (error < 0)
		stop("sending", error);
	error = 0;
	/* An answer and its acknowledgement are two datagrams, and events may come between. */
	answer->ended = 0;
	while (!answer->ended && error >= 0)
		error = nl_recvmsgs(socket, callbacks);
	return answer->code;
}

int main(int count, char **arguments)
{
	static const unsigned char expected[] = { /* SHA-256 of "abc", FIPS 180-2 appendix B.1 */
		0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
		0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad
	};
	uint32_t port = count > 1 ? strtoul(arguments[1], NULL, 0) : PORT;
	struct answer answer = { 0 };
	struct nl_sock *socket = nl_socket_alloc();
	struct nl_cb *callbacks = nl_cb_alloc(NL_CB_DEFAULT);
	struct nl_msg *message;
	int error, family;

	nl_socket_set_peer_port(socket, port);
	error = nl_connect(socket, NETLINK_USERSOCK);
	if (error < 0)
		stop("connecting", error);
	family = genl_ctrl_resolve(socket, "acrypto");
	if (family < 0)
		stop("looking for the family 'acrypto'", family);
	printf("family acrypto has id %#x\n", family);

	nl_cb_set(callbacks, NL_CB_VALID, NL_CB_CUSTOM, on_message, &answer);
	nl_cb_set(callbacks, NL_CB_ACK, NL_CB_CUSTOM, on_end, &answer);
	nl_cb_set(callbacks, NL_CB_FINISH, NL_CB_CUSTOM, on_end, &answer);
	nl_cb_set(callbacks, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, on_sequence, NULL);
	nl_cb_err(callbacks, NL_CB_CUSTOM, on_error, &answer);

	ask(socket, callbacks, &answer, request(family, DEVICE_GET, NLM_F_DUMP));

	message = request(family, EVENT_SUBSCRIBE, NLM_F_ACK);
	nla_put_u32(message, EVENT_SUBSCRIPTION, 1);
	if (ask(socket, callbacks, &answer, message) < 0)
		goto refused;

	/* One of them is a change, whatever was in force. */
	message = request(family, BALANCER_SET, NLM_F_ACK);
	nla_put_string(message, BALANCER_NAME, "round_robin_lb");
	if (ask(socket, callbacks, &answer, message) < 0)
		goto refused;
	message = request(family, BALANCER_SET, NLM_F_ACK);
	nla_put_string(message, BALANCER_NAME, "simple_lb");
	if (ask(socket, callbacks, &answer, message) < 0)
		goto refused;
	while (!answer.switched)
		nl_recvmsgs(socket, callbacks);

	message = request(family, SESSION_NEW, NLM_F_ACK);
	nla_put_string(message, SESSION_ALGORITHM, "sha256");
	if (ask(socket, callbacks, &answer, message) < 0)
		goto refused;
	message = request(family, OP_SUBMIT, NLM_F_ACK);
	nla_put_u64(message, OP_SESSION, answer.session);
	nla_put_u32(message, OP_KIND, KIND_DIGEST);
	nla_put(message, OP_DATA, 3, "abc");
	if (ask(socket, callbacks, &answer, message) < 0)
		goto refused;
	if (answer.digest_len != sizeof(expected) || memcmp(answer.digest, expected, sizeof(expected)) != 0) {
		fprintf(stderr, "manage: the digest is wrong\n");
		return 1;
	}
	printf("sha256 of \"abc\" by %s is right\n", answer.device);

	message = request(family, BALANCER_SET, NLM_F_ACK);
	nla_put_string(message, BALANCER_NAME, "no_such_lb");
	if (ask(socket, callbacks, &answer, message) == 0) {
		fprintf(stderr, "manage: a balancer that does not exist was taken\n");
		return 1;
	}
	printf("refused: %s (errno %d)\n", answer.text, -answer.code);

	nl_cb_put(callbacks);
	nl_socket_free(socket);
	return 0;

refused:
	fprintf(stderr, "manage: refused: %s (errno %d)\n", answer.text, -answer.code);
	return 1;
}
