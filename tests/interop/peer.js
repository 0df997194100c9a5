// A charge point or a CSMS on npm's ocpp-rpc, in strict mode, driven over stdin and stdout by JSON lines.
//
//   node peer.js csms PASSWORD                       prints {"port": N}
//   node peer.js charger ENDPOINT IDENTITY PROTOCOL PASSWORD
//
// stdin:  {"n": 1, "method": "...", "params": {...}} makes a call; {"close": true} ends.
// stdout: {"raw": "...", "outbound": true|false}, {"n": 1, "result"|"error": ...}, {"fault": ...}, {"busiest": N}
'use strict';
const readline = require('node:readline');
const { setTimeout: sleep } = require('node:timers/promises');
const { RPCClient, RPCServer } = require('ocpp-rpc');

const PROTOCOLS = ['ocpp1.6', 'ocpp2.0.1'];
const ANSWER_DELAY_MS = { SetChargingProfile: 60, GetConfiguration: 30, GetVariables: 30 };

const tell = (thing) => process.stdout.write(JSON.stringify(thing) + '\n');
const now = () => new Date().toISOString();

const ANSWERS = {
  Authorize: (params) => (params.idToken ? { idTokenInfo: { status: 'Accepted' } } : { idTagInfo: { status: 'Accepted' } }),
  BootNotification: () => ({ status: 'Accepted', interval: 300, currentTime: now() }),
  ClearChargingProfile: () => ({ status: 'Accepted' }),
  DataTransfer: (params) => ({ status: 'Accepted', data: params.data }),
  GetChargingProfiles: () => ({ status: 'NoProfiles' }),
  GetCompositeSchedule: (params) => {
    const periods = [{ startPeriod: 0, limit: 9.0 }, { startPeriod: 300, limit: 6.0 }];
    const schedule = { duration: params.duration, chargingRateUnit: 'A', chargingSchedulePeriod: periods };
    if ('connectorId' in params) {
      return { status: 'Accepted', connectorId: params.connectorId, scheduleStart: now(), chargingSchedule: schedule };
    }
    return { status: 'Accepted', schedule: { ...schedule, evseId: params.evseId, scheduleStart: now() } };
  },
  GetConfiguration: () => ({ configurationKey: [{ key: 'ChargeProfileMaxStackLevel', readonly: true, value: '8' }] }),
  GetVariables: (params) => ({
    getVariableResult: params.getVariableData.map((one) => ({ ...one, attributeStatus: 'Accepted', attributeValue: '8' })),
  }),
  Heartbeat: () => ({ currentTime: now() }),
  MeterValues: () => ({}),
  RemoteStopTransaction: () => ({ status: 'Accepted' }),
  ReportChargingProfiles: () => ({}),
  RequestStopTransaction: () => ({ status: 'Accepted' }),
  SetChargingProfile: () => ({ status: 'Accepted' }),
  StartTransaction: () => ({ transactionId: 4711, idTagInfo: { status: 'Accepted' } }),
  StatusNotification: () => ({}),
  StopTransaction: () => ({}),
  TransactionEvent: () => ({}),
};

let busy = 0;
let busiest = 0;

function attach(client) {
  client.on('message', ({ message, outbound }) => tell({ raw: message.toString(), outbound }));
  client.on('badMessage', ({ error }) => tell({ fault: `bad message: ${error}` }));
  client.on('strictValidationFailure', ({ error }) => tell({ fault: `schema: ${error} ${JSON.stringify(error.details)}` }));
  client.handle(async ({ method, params }) => {
    busy += 1;
    busiest = Math.max(busiest, busy);
    await sleep(ANSWER_DELAY_MS[method] ?? 0);
    busy -= 1;
    return ANSWERS[method](params);
  });
}

async function csms(password) {
  const server = new RPCServer({ protocols: PROTOCOLS, strictMode: true });
  let client;
  server.auth((accept, reject, handshake) => {
    if (handshake.password?.toString() === password) accept();
    else reject(401, 'wrong password');
  });
  server.on('client', (newcomer) => {
    client = newcomer;
    attach(newcomer);
  });
  const http = await server.listen(0, '127.0.0.1');
  tell({ port: http.address().port });
  return { call: (method, params) => client.call(method, params), close: () => server.close({ force: true }) };
}

async function charger(endpoint, identity, protocol, password) {
  const client = new RPCClient({ endpoint, identity, password, protocols: [protocol], strictMode: true, maxReconnects: 0 });
  attach(client);
  try {
    await client.connect();
    tell({ connected: client.protocol });
  } catch (error) {
    tell({ refused: error.message, status: error.code });
    process.exit(0);
  }
  return { call: (method, params) => client.call(method, params), close: () => client.close() };
}

async function main([role, ...details]) {
  const peer = await { csms, charger }[role](...details);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { n, method, params, close } = JSON.parse(line);
    if (close) break;
    peer.call(method, params).then(
      (result) => tell({ n, result }),
      (error) => tell({ n, error: error.message }),
    );
  }
  await peer.close();
  tell({ busiest });
  process.exit(0);
}

main(process.argv.slice(2));
