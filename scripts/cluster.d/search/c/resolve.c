/* Resolves new outside names with getaddrinfo, one after another: the addresses found, and the median time. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    static const char *const domains[] = {"com", "net", "org"};
    if (argc != 3) {
        fprintf(stderr, "usage: resolve PREFIX COUNT\n");
        return 2;
    }
    int count = atoi(argv[2]), answered = 0;
    double *times = calloc(count > 0 ? count : 1, sizeof *times);
    for (int number = 0; number < count; number++) {
        char name[128];
        snprintf(name, sizeof name, "%s%d.example.%s", argv[1], number, domains[number % 3]);
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
        double begin = milliseconds();
        int problem = getaddrinfo(name, NULL, &hints, &found);
        times[number] = milliseconds() - begin;
        if (problem == 0) {
            char text[NI_MAXHOST] = "";
            getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
            answered += found->ai_next == NULL && text[0] == '1';
            freeaddrinfo(found);
        }
    }
    qsort(times, count, sizeof *times, compare);
    printf("%d %.3f\n", answered, times[count / 2]);
    free(times);
    return 0;
}
