/* A network ready to run: graph read, checked, folded, fused, memory planned for fixed input
 * shapes.
 *
 * mt_net is immutable and shared; each worker has its own mt_net_state (activations, scratch). */
#ifndef MT_MODELS_NET_H
#define MT_MODELS_NET_H

#include <stdbool.h>
#include "microtome/model.h"

typedef enum mt_dtype { /* ONNX TensorProto.DataType numbers */
                        MT_DT_F32 = 1,
                        MT_DT_U8 = 2,
                        MT_DT_I8 = 3,
                        MT_DT_I32 = 6,
                        MT_DT_I64 = 7,
                        MT_DT_BOOL = 9,
                        MT_DT_F16 = 10
} mt_dtype;
/* float64 is known to the reader of files only, which makes it float32. */
#define MT_DT_F64 ((mt_dtype)11)

#define MT_MAX_DIMS 8
typedef struct mt_tensor {
    mt_dtype dtype;
    int rank;
    int64_t dims[MT_MAX_DIMS];
    void *data; /* row-major, owned by whoever says so */
} mt_tensor;

typedef struct mt_net mt_net;
typedef struct mt_net_state mt_net_state;

/* Compiles an ONNX file held in memory. `inputs` (n_inputs, data may be NULL) bind the shapes; NULL
 * binds what the graph declares, with 1 for symbolic dimensions. An input bound with data becomes a
 * constant: what a later run brings for it is not looked at. name is used in errors only. */
MT_MUST_USE mt_status mt_net_compile(mt_net **out, const void *onnx, size_t n_bytes,
                                     const mt_tensor *inputs, int n_inputs, const char *name,
                                     mt_err *err);
/* The same for a file whose tensors may lie in others beside it: folder is the one it lies in. They
 * stay mapped as long as the network lives; a run that finds one cut short ends with IO. */
MT_MUST_USE mt_status mt_net_compile_in(mt_net **out, const void *onnx, size_t n_bytes,
                                        const char *folder, const mt_tensor *inputs, int n_inputs,
                                        const char *name, mt_err *err);
void mt_net_free(mt_net **net);
int mt_net_n_inputs(const mt_net *net);
int mt_net_n_outputs(const mt_net *net);
const mt_tensor *mt_net_input(const mt_net *net, int i);  /* shapes; data NULL */
const mt_tensor *mt_net_output(const mt_net *net, int i);
size_t mt_net_state_bytes(const mt_net *net);             /* memory one state takes */
uint64_t mt_net_macs(const mt_net *net);

MT_MUST_USE mt_status mt_net_state_new(mt_net_state **out, const mt_net *net, mt_err *err);
void mt_net_state_free(mt_net_state **state);

/* Runs once. inputs[i].data must have the bound shape and type; outputs[i].data is set to memory of
 * the state, valid until its next run. Same input, same bits, whatever runs on other threads. */
MT_MUST_USE mt_status mt_net_run(const mt_net *net, mt_net_state *state, const mt_tensor *inputs,
                                 mt_tensor *outputs, mt_err *err);

/* The same, telling `watch` before (done 0) and after (done 1) every step: for benches. */
typedef void (*mt_net_watch_fn)(void *ctx, int step, const char *op, const char *node,
                                const char *variant, uint64_t macs, int done);
MT_MUST_USE mt_status mt_net_run_watched(const mt_net *net, mt_net_state *state,
                                         const mt_tensor *inputs, mt_tensor *outputs,
                                         mt_net_watch_fn watch, void *ctx, mt_err *err);
size_t mt_net_n_params(const mt_net *net); /* floating-point numbers among the initialisers */
/* Bytes of weights held: constants that steps read (mapped ones too) and packed copies. */
size_t mt_net_weight_bytes(const mt_net *net);
const char *mt_net_output_name(const mt_net *net, int i); /* as the file has it; "" out of range */
int mt_net_n_steps(const mt_net *net);     /* nodes left after folding and fusing */

/* The tile classifier of an opened model for one image of card->input_px: input [1,3,px,px] float32
 * already normalised by the card, output n_classes probabilities after the card's activation. */
MT_MUST_USE mt_status mt_model_net(const mt_net **out, const mt_model *model, mt_err *err);
/* The card's transform after Resize: input_px x input_px RGB8, tight rows, to the net's planar
 * input (3 * input_px * input_px floats). The same bits on every instruction set. */
void mt_card_normalise(const mt_card *card, const uint8_t *rgb, float *input);
void mt_card_activate(const mt_card *card, const float *logits, float *probs);

#endif
