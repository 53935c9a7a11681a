/* Second opinions of libspandsp for the tests of this package: DTMF out and in, and the G.711 tables. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#define SPANDSP_EXPOSE_INTERNAL_STRUCTURES
#include <spandsp.h>
#include <spandsp/expose.h>

int main(int argc, char *argv[])
{
    int16_t amp[160];
    int n;
    if (argc == 5 && strcmp(argv[1], "tx") == 0) {
        dtmf_tx_state_t *tx = dtmf_tx_init(NULL);
        dtmf_tx_set_timing(tx, atoi(argv[3]), atoi(argv[4]));
        dtmf_tx_put(tx, argv[2], -1);
        while ((n = dtmf_tx(tx, amp, 160)) > 0)
            fwrite(amp, 2, n, stdout);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "rx") == 0) {
        char digits[129];
        dtmf_rx_state_t *rx = dtmf_rx_init(NULL, NULL, NULL);
        while ((n = fread(amp, 2, 160, stdin)) > 0) {
            dtmf_rx(rx, amp, n);
            if (dtmf_rx_get(rx, digits, 128) > 0)
                fputs(digits, stdout);
        }
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "g711") == 0) {
        int i;
        for (i = -32768; i < 32768; i++) {
            putchar(linear_to_ulaw(i));
            putchar(linear_to_alaw(i));
        }
        for (i = 0; i < 256; i++) {
            int16_t u = ulaw_to_linear(i), a = alaw_to_linear(i);
            fwrite(&u, 2, 1, stdout);
            fwrite(&a, 2, 1, stdout);
            putchar(ulaw_to_alaw(i));
            putchar(alaw_to_ulaw(i));
        }
        return 0;
    }
    return 2;
}
