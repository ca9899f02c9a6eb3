/* The rank tables that scripts/pack_ranks.py has written, as they are: read-only pages of the program's file, in memory
   only where a count has touched them. */
    .section .rodata.asahi_ranks, "a", @progbits
    .globl asahi_cl100k_ranks
    .hidden asahi_cl100k_ranks
    .p2align 12
asahi_cl100k_ranks:
    .incbin ASAHI_CL100K_RANKS
    .globl asahi_o200k_ranks
    .hidden asahi_o200k_ranks
    .p2align 12
asahi_o200k_ranks:
    .incbin ASAHI_O200K_RANKS
    .section .note.GNU-stack, "", @progbits
