// ONNX Runtime on the same core: images per CPU second of one model, one image at a time.
// usage: node onnxruntime.mjs MODEL.onnx SIDE [RUNS] [ROUNDS]
// needs: npm install --ignore-scripts onnxruntime-node (in a folder on NODE_PATH or beside the caller)
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [model, side = '256', runs = '20', rounds = '5'] = process.argv.slice(2);
if (!model) {
  console.error('usage: node onnxruntime.mjs MODEL.onnx SIDE [RUNS] [ROUNDS]');
  process.exit(2);
}
const ort = createRequire(pathToFileURL(process.cwd() + '/'))('onnxruntime-node');
const session = await ort.InferenceSession.create(model, {
  intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all' });
const px = Number(side);
const data = Float32Array.from({ length: 3 * px * px }, (_, i) => Math.sin(i * 0.37));
const feed = { [session.inputNames[0]]: new ort.Tensor('float32', data, [1, 3, px, px]) };
for (let i = 0; i < 3; i++) await session.run(feed);

const rates = [];
for (let r = 0; r < Number(rounds); r++) {
  const before = process.cpuUsage();
  for (let i = 0; i < Number(runs); i++) await session.run(feed);
  const { user, system } = process.cpuUsage(before);
  rates.push(Number(runs) / ((user + system) / 1e6));
}
rates.sort((a, b) => a - b);
console.log(JSON.stringify({ engine: 'onnxruntime', version: ort.env?.versions?.node ?? '', side: px,
  images_per_cpu_s: { median: rates[rates.length >> 1], min: rates[0], max: rates.at(-1) } }));
