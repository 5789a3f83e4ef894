/* Prints the addresses that getaddrinfo finds, one per line. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: getaddrinfo NAME\n");
        return 2;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int problem = getaddrinfo(argv[1], NULL, &hints, &found);
    if (problem != 0) {
        fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(problem));
        return 1;
    }
    for (struct addrinfo *one = found; one != NULL; one = one->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
            puts(text);
    }
    freeaddrinfo(found);
    return 0;
}
