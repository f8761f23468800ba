/* Embeds the files of models/cards/ into the library: `blob NAME, "FILE"` gives NAME and NAME_end. */
    .section .rodata
    .macro blob name, file
    .global \name
    .global \name\()_end
    .hidden \name
    .hidden \name\()_end
    .balign 64
\name:
    .incbin "\file"
\name\()_end:
    .byte 0
    .endm

#include "models/cards_blobs.inc"

    .section .note.GNU-stack, "", @progbits
