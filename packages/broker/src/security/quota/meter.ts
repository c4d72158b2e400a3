// Between the router and the quotas: which bytes count for which rate, and the mute that follows.
// Owns: that mapping.  Never: holds a request back itself.
import type { Clock } from '@millrace/core';
import { APIS } from '@millrace/protocol';
import type { RequestMeter } from '../../server/router.ts';
import type { Quotas } from './quotas.ts';

const USER_PREFIX = /^User:/;

export function quotaMeter(quotas: Quotas, clock: Clock): RequestMeter {
  return {
    get isOn() {
      return quotas.measuresRequests;
    },
    nowMs: () => clock.monotonicMs(),
    charge(connection, { apiKey, clientId, requestBytes, answerBytes, busyMs }) {
      if (!connection.login.isDone) return 0;
      const quietMs = quotas.charge(connection.principal.replace(USER_PREFIX, ''), clientId ?? '', {
        producedBytes: apiKey === APIS.produce.key ? requestBytes : 0,
        consumedBytes: apiKey === APIS.fetch.key ? answerBytes : 0,
        busyMs,
      });
      connection.mute(quietMs);
      return quietMs;
    },
  };
}
