/* Idle tile readers of a slide, so that region calls from any thread find one. */
#ifndef MT_SLIDE_POOL_H
#define MT_SLIDE_POOL_H

#include "slide/slide.h"

typedef struct mt_reader_pool mt_reader_pool;
mt_status mt_reader_pool_new(mt_reader_pool **out, mt_err *err);
void mt_reader_pool_free(mt_reader_pool **pool); /* frees the idle readers too */

/* An idle reader, or a new one when all are out. Give it back with put. */
mt_status mt_reader_pool_take(mt_tile_reader **out, mt_reader_pool *pool, const mt_slide *slide,
                              mt_err *err);
void mt_reader_pool_put(mt_reader_pool *pool, mt_tile_reader *reader);

#endif
