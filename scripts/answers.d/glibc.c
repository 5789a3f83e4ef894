/* Queries all types and reads every record as glibc's libresolv does: ns_parserr, ns_sprintrr.
 * Usage: glibc ADDRESS NAME TYPE... */
/* ns_parserr and ns_sprintrr are deprecated, and used by programs all the same. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_type(res_state state, const char *name, int type)
{
    static unsigned char packet[65536];
    static char text[65536];
    ns_msg message;
    ns_rr record;
    int length = res_nquery(state, name, ns_c_in, type, packet, sizeof packet);
    if (length < 0 || ns_initparse(packet, length, &message) < 0 || ns_msg_count(message, ns_s_an) == 0)
        return -1;
    for (int number = 0; number < ns_msg_count(message, ns_s_an); number++) {
        if (ns_parserr(&message, ns_s_an, number, &record) < 0)
            return -1;
        if (ns_sprintrr(&message, &record, NULL, NULL, text, sizeof text) < 0)
            return -1;
        /* ns_sprintrr prints a record that it cannot read as `\# ... ; error`. */
        if (strstr(text, "RR format error") != NULL)
            return -1;
    }
    return 0;
}

int main(int count, char **arguments)
{
    struct __res_state state;
    int failed = 0;
    memset(&state, 0, sizeof state);
    if (count < 4 || res_ninit(&state) < 0)
        return 2;
    state.nscount = 1;
    memset(&state.nsaddr_list[0], 0, sizeof state.nsaddr_list[0]);
    state.nsaddr_list[0].sin_family = AF_INET;
    state.nsaddr_list[0].sin_port = htons(53);
    state.nsaddr_list[0].sin_addr.s_addr = inet_addr(arguments[1]);
    for (int index = 3; index < count; index++)
        if (read_type(&state, arguments[2], atoi(arguments[index])) < 0) {
            printf("TYPE%s\n", arguments[index]);
            failed = 1;
        }
    return failed;
}
