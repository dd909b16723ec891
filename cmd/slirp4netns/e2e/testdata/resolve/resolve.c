/* Prints the addresses of its argument, as the C library finds them. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *a;
	char text[64];
	int err = argc == 2 ? getaddrinfo(argv[1], NULL, &hints, &list) : EAI_NONAME;

	if (err) {
		puts(gai_strerror(err));
		return 1;
	}
	for (a = list; a; a = a->ai_next)
		if (!getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST))
			puts(text);
	return 0;
}
