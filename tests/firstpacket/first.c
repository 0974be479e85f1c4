/* Sends its first packet as soon as it runs, and keeps trying: first ADDRESS PORT MILLISECONDS.
 *
 * Prints how many microseconds after the start of main the first packet was sent, how often it tried, and when it got
 * through, if it did. Exit status 0: it got through; 1: it did not.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

int main(int count, char **words)
{
    long start = microseconds(), first = -1;
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(atoi(words[2]))};
    int tries = 0;

    inet_pton(AF_INET, words[1], &target.sin_addr);
    while (microseconds() - start < atol(words[3]) * 1000) {
        int connection = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int result = connect(connection, (struct sockaddr *)&target, sizeof target);
        if (tries++ == 0)
            first = microseconds() - start;
        if (result != 0 && errno == EINPROGRESS) {
            struct pollfd waiting = {.fd = connection, .events = POLLOUT};
            int error = 0;
            socklen_t size = sizeof error;
            if (poll(&waiting, 1, 100) == 1 && getsockopt(connection, SOL_SOCKET, SO_ERROR, &error, &size) == 0)
                result = error;
        }
        close(connection);
        if (result == 0) {
            printf("{\"first\": %ld, \"tries\": %d, \"through\": %ld}\n", first, tries, microseconds() - start);
            return 0;
        }
        usleep(1000);
    }
    printf("{\"first\": %ld, \"tries\": %d, \"through\": null}\n", first, tries);
    return 1;
}
