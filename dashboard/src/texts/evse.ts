export const evse = {};
